"""Tables in memory that follow a history as the follower does; and a slow second opinion."""

import asyncio
import bisect
from dataclasses import dataclass, field
from typing import Any

from common.geo.sphere import distance_m
from consumers.insight.fold.boundary import restart
from consumers.insight.fold.journey import NOWHERE, spot
from consumers.insight.fold.results import BEGINNING_US, SECOND_US, Results
from consumers.insight.fold.rules import DEAD_BAND_M, JUMP_KMH, STANDING_MPS, Rules
from consumers.insight.fold.state import dump, load, new_fold

Fix = tuple[int, float, float, float, float]


@dataclass
class Tables:
    """One driver: its history, what is stored of it, and how far it was folded."""

    rules: Rules
    cell_of: Any = None
    history: dict[int, Fix] = field(default_factory=dict)
    state: bytes | None = None
    folded_to: int = BEGINNING_US
    rows: dict[Any, Any] = field(default_factory=dict)
    opened: set[Any] = field(default_factory=set)

    def store(self, fixes: list[Fix]) -> None:
        """New fixes; late ones make it fold again."""
        new = [fix for fix in fixes if fix[0] not in self.history]
        self.history.update({fix[0]: fix for fix in new})
        late = [fix[0] for fix in new if fix[0] <= self.folded_to]
        if late:
            self.repair(min(late))

    def follow(self, until: int, page: int) -> None:
        """Fold what is there up to `until`, by pages, each from the state that was written."""
        times = sorted(t for t in self.history if self.folded_to < t <= until)
        for first in range(0, len(times), page):
            fold = (
                load(self.state, self.rules, self.cell_of)
                if self.state
                else new_fold(self.rules, self.cell_of)
            )
            for t in times[first : first + page]:
                fold.add(*self.history[t])
                self.folded_to = t
            self._write(fold)

    def repair(self, since: int) -> None:
        """Begin again at a boundary, and go on to where the fold was."""
        ends = [r.ended_us for k, r in self.rows.items() if k[0] == "stop" and r.ended_by == "move"]
        ends += [r.ended_us for k, r in self.rows.items() if k[0] == "gap"]

        async def last_boundary(at: int) -> int | None:
            return max((end for end in ends if end <= at), default=None)

        begin, sums = asyncio.run(restart(since, last_boundary))
        until = self.folded_to
        fold = new_fold(self.rules, self.cell_of, BEGINNING_US if sums is None else sums)
        self.rows = {
            k: v
            for k, v in self.rows.items()
            if begin is not None and k[1] < (sums if k[0] in ("quarter", "cell") else begin)
        }
        self.opened = set()
        self.folded_to = BEGINNING_US
        if begin is not None:
            times = sorted(self.history)
            before = times[bisect.bisect_left(times, begin) - 1]
            here = self.history[begin]
            fold.begin_again(spot(*self.history[before][:3]), spot(*here[:3]), *here[3:])
            self.folded_to = begin
        self.state = None
        if fold.previous is not NOWHERE:
            self._write(fold)
        self.follow(until, 1 << 30)

    def _write(self, fold: Any) -> None:
        results = fold.take()
        rows = keyed(results)
        for key in self.opened - set(rows):
            self.rows.pop(key, None)
        self.rows.update(rows)
        self.opened = {k for k, r in rows.items() if k[0] == "trip" and r.open}
        self.state = dump(fold)


def keyed(results: Results) -> dict[Any, Any]:
    """Rows by their keys."""
    return {
        **{("stop", r.started_us): r for r in results.stops},
        **{("trip", r.started_us): r for r in results.trips},
        **{("gap", r.started_us): r for r in results.gaps},
        **{("quarter", r.start_us): r for r in results.quarters},
        **{("cell", r.hour_us, r.cell): r for r in results.cells},
    }


def at_once(fixes: list[Fix], rules: Rules, cell_of: Any = None) -> dict[Any, Any]:
    """One fold over the sorted history."""
    fold = new_fold(rules, cell_of)
    for fix in sorted({fix[0]: fix for fix in reversed(fixes)}.values()):
        fold.add(*fix)
    return keyed(fold.take())


def plainly(fixes: list[Fix], rules: Rules) -> tuple[list[tuple[int, int, str]], float, float]:
    """Stops, distance and moving seconds, computed the long way: stops first, then moves."""
    stops: list[tuple[int, int, str]] = []
    total_m = moving_us = 0.0
    section: list[Fix] = []
    for fix in [*fixes, None]:
        if fix is not None and (not section or fix[0] - section[-1][0] <= rules.gap_s * SECOND_US):
            section.append(fix)
            continue
        found, far_m, moved_us = _section(section, rules, last=fix is None)
        stops += found
        total_m += far_m
        moving_us += moved_us
        section = [fix] if fix else []
    return stops, total_m, moving_us / SECOND_US


def _section(
    section: list[Fix], rules: Rules, *, last: bool
) -> tuple[list[tuple[int, int, str]], float, float]:
    stops, anchors, inside = [], [0], [False] * len(section)
    anchor = 0
    for i, fix in enumerate(section):
        if distance_m(*section[anchor][1:3], *fix[1:3]) >= rules.stop_radius_m:
            if fix[0] - section[anchor][0] >= rules.stop_min_s * SECOND_US:
                stops.append((section[anchor][0], fix[0], "move"))
                inside[anchor + 1 : i] = [True] * (i - anchor - 1)
            anchor = i
        anchors.append(anchor)
    if section and section[-1][0] - section[anchor][0] >= rules.stop_min_s * SECOND_US:
        stops.append((section[anchor][0], section[-1][0], "open" if last else "gap"))
        inside[anchor + 1 :] = [True] * (len(section) - anchor - 1)
    exits = {stop[1] for stop in stops if stop[2] == "move"}
    total_m = moving_us = 0.0
    reference = 0
    for i in range(1, len(section)):
        before, here = section[i - 1], section[i]
        if inside[i]:
            continue
        leg_m = distance_m(*before[1:3], *here[1:3])
        jump = leg_m > (here[0] - before[0]) * JUMP_KMH / 3.6 / SECOND_US
        if here[0] in exits:
            total_m += (
                0
                if jump or leg_m < max(DEAD_BAND_M, here[4] if here[4] == here[4] else 0)
                else leg_m
            )
            reference = i
            continue
        if jump:
            reference = i
            continue
        way_m = distance_m(*section[reference][1:3], *here[1:3])
        if way_m < DEAD_BAND_M or way_m < here[4]:
            continue
        total_m += way_m
        since = max(section[reference][0], section[anchors[i]][0])
        slow = STANDING_MPS / SECOND_US
        if way_m >= (here[0] - since) * slow:
            moving_us += here[0] - since
        elif leg_m >= (here[0] - before[0]) * slow:
            moving_us += here[0] - before[0]
        reference = i
    return stops, total_m, moving_us
