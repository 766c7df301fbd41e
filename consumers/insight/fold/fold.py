"""The fold: one driver's fixes, in order of `recorded_at`, into stops, trips and sums. Pure.

Stops are Li and Zheng's sliding anchor ("Mining user similarity based on location history",
2008), with the same answers as trackintel's `generate_staypoints`: while every fix is nearer to
the anchor than the radius the driver stays; the first one that is not is the next anchor, and if
it came STOP_MIN_S or later, that was a stop. After more than GAP_S without a fix all begins anew.

The state after a fix depends on the fixes alone, never on how they were cut into pages. After a
fix that ends a stop or a gap (a *boundary*) it depends on that fix and the one before it: there
the fold can begin again, which is how late fixes are mended.
"""

from collections.abc import Callable
from math import cos, radians, sin

from common.geo.sphere import haversine_of, wrapped
from consumers.insight.fold.journey import NOWHERE, Journey, Spot, between
from consumers.insight.fold.results import (
    QUARTER_US,
    SECOND_US,
    CellHour,
    EndedBy,
    Gap,
    Quarter,
    Results,
    Stop,
    Trip,
)
from consumers.insight.fold.rules import (
    CELL_RESOLUTION,
    DEAD_BAND_M,
    JUMP_KMH,
    STANDING_MPS,
    Rules,
)
from consumers.insight.fold.sums import NO_CELL, Sums

_JUMP_M_US = JUMP_KMH / 3.6 / SECOND_US
_STANDING_M_US = STANDING_MPS / SECOND_US
_KMH_US_M = 3.6 * SECOND_US


class Fold:
    """The state after some fixes of one driver. `results` gathers what closed since `take`."""

    __slots__ = (
        "_cell_of", "_dead_m", "_gap_us", "_limit_kmh", "_radius", "_stop_us", "_trip_min_m",
        "anchor", "journey", "latitudes", "longitudes", "near", "previous", "reference",
        "results", "stopped", "sums", "top",
    )  # fmt: skip

    def __init__(
        self,
        rules: Rules,
        sums: Sums,
        cell_of: Callable[[float, float, int], int] | None = None,
    ) -> None:
        self._radius = haversine_of(rules.stop_radius_m)
        self._stop_us = round(rules.stop_min_s * SECOND_US)
        self._gap_us = round(rules.gap_s * SECOND_US)
        self._trip_min_m = rules.trip_min_m
        self._limit_kmh = rules.speed_limit_kmh or float("inf")
        self._cell_of = cell_of
        self.results = Results()
        self.sums = sums
        # The last fix; the stop's first fix; where the last move ended.
        self.previous = self.anchor = self.reference = NOWHERE
        self.journey = Journey(self.anchor)
        self.stopped = False
        # Fixes near the anchor after it, and the sums of their offsets from it in degrees.
        self.near = 0
        self.latitudes = self.longitudes = 0.0
        # The highest speed a device named since the last move; -1: none.
        self.top = -1.0

    def add(
        self, at_us: int, latitude: float, longitude: float, speed: float, accuracy: float
    ) -> None:
        """The next fix: later than all before. NaN stands for an unknown speed or accuracy."""
        phi, lam = radians(latitude), radians(longitude)
        cosine = cos(phi)
        here: Spot = (at_us, latitude, longitude, phi, lam, cosine)
        previous, sums = self.previous, self.sums
        if at_us - previous[0] > self._gap_us:
            self._begin(here)
            return
        if at_us < sums.quarter.start_us + QUARTER_US:
            sums.quarter.tracked_us += at_us - previous[0]
        else:
            keep_us = at_us if self.stopped else self.anchor[0]
            self._closed(*sums.turn(previous[0], at_us, keep_us))
        sums.quarter.fixes += 1
        if self.top < speed <= JUMP_KMH:
            self.top = speed
        anchor = self.anchor
        along, across = sin((phi - anchor[3]) * 0.5), sin((lam - anchor[4]) * 0.5)
        if along * along + anchor[5] * cosine * across * across >= self._radius:
            if self.stopped or at_us - anchor[0] >= self._stop_us:
                self._depart(here, speed, accuracy)
            else:
                self._go_on(here, speed, accuracy)
        else:
            self._stay(here, speed, accuracy)
        sums.cell.fixes += 1
        self.previous = here

    def begin_again(self, before: Spot, here: Spot, speed: float, accuracy: float) -> None:
        """Start at a boundary: `here` ended a stop or a gap, or nothing came before it."""
        if here[0] - before[0] > self._gap_us:
            self._begin(here)
            return
        self.sums.begin(before[0], before[0])
        self.previous = before
        if here[0] >= self.sums.edge_us:
            self.sums.turn(before[0], here[0], here[0])
        self.sums.quarter.fixes += 1
        self._set_off(before, here, speed, accuracy)
        self.sums.cell.fixes += 1
        self.previous = here

    def _begin(self, here: Spot) -> None:
        """The first fix of all, or the first after a gap."""
        previous, sums = self.previous, self.sums
        if previous is not NOWHERE:
            if self.stopped:
                self.results.stops.append(self._stop(previous[0], "gap"))
            else:
                self._settle()
                self._end_trip(previous)
            self.results.gaps.append(Gap(previous[0], here[0]))
        self._closed(*sums.begin(previous[0], here[0]))
        self._anchor_at(here)
        self.stopped = False
        self.reference = here
        self.journey = Journey(here)
        self.top = -1.0
        sums.enter(here[0], self._cell(here))
        sums.quarter.fixes += 1
        sums.cell.fixes += 1
        self.previous = here

    def _stay(self, here: Spot, speed: float, accuracy: float) -> None:
        anchor = self.anchor
        self.near += 1
        self.latitudes += here[1] - anchor[1]
        self.longitudes += wrapped(here[2] - anchor[2])
        if self.stopped:
            return
        if here[0] - anchor[0] < self._stop_us:
            self._move(here, speed, accuracy, certain=False)
            return
        self.stopped = True
        self._end_trip(anchor)
        cell = self._cell(anchor)
        self.sums.stop_at(anchor[0], cell)
        self.sums.enter(here[0], cell)

    def _depart(self, here: Spot, speed: float, accuracy: float) -> None:
        """The first fix beyond the radius ends the stop, and begins the next trip."""
        if not self.stopped:
            self._end_trip(self.anchor)
            self.sums.stop_at(self.anchor[0], self._cell(self.anchor))
        self.results.stops.append(self._stop(here[0], "move"))
        self._set_off(self.previous, here, speed, accuracy)

    def _set_off(self, before: Spot, here: Spot, speed: float, accuracy: float) -> None:
        """The step out of a stop is the trip's: its way, though its time was the stop's.

        A speed that was named while the driver stood is nobody's.
        """
        self.stopped = False
        self.top = speed if speed <= JUMP_KMH else -1.0
        self._anchor_at(here)
        self.reference = here
        self.journey = Journey(here)
        self.sums.enter(here[0], self._cell(here))
        step_m = between(before, here)
        if step_m <= (here[0] - before[0]) * _JUMP_M_US and not (
            step_m < DEAD_BAND_M or step_m < accuracy
        ):
            self.sums.move(here[0], here[0], step_m, over=False, top=self.top)
            # A cell's speed is its way by its time, so there it counts as driven.
            self.sums.cell.moving_us += here[0] - before[0]
            self.journey.distance_m = step_m
            self.journey.speed_max = self.top
        self.top = -1.0

    def _go_on(self, here: Spot, speed: float, accuracy: float) -> None:
        """Beyond the radius before a stop was made: what was pending was driven."""
        self._settle()
        self._move(here, speed, accuracy, certain=True)
        self.journey.fixes += 1
        self._anchor_at(here)

    def _settle(self) -> None:
        journey = self.journey
        for part in self.sums.pending:
            journey.distance_m += part.distance_m
            journey.moving_us += part.moving_us
            journey.speed_max = max(journey.speed_max, part.speed_max)
        journey.fixes += self.near
        self.sums.settle()

    def _move(self, here: Spot, speed: float, accuracy: float, *, certain: bool) -> None:
        """Count the way since the last move, unless it is noise or a jump."""
        reference, previous = self.reference, self.previous
        leg_m = between(previous, here)
        leg_us = here[0] - previous[0]
        if leg_m > leg_us * _JUMP_M_US:
            self._refer(here)
            return
        way_m = leg_m if reference is previous else between(reference, here)
        if way_m < DEAD_BAND_M or way_m < accuracy:
            return
        since_us = max(reference[0], self.anchor[0])
        if way_m < (here[0] - since_us) * _STANDING_M_US:
            # It stood for a while; only the last leg can have been a move.
            since_us = previous[0] if leg_m >= leg_us * _STANDING_M_US else here[0]
        top = self.top
        if top < 0 and here[0] > since_us:
            top = min(way_m / (here[0] - since_us) * _KMH_US_M, JUMP_KMH)
        over = (speed if speed <= JUMP_KMH else top) > self._limit_kmh
        self._refer(here)
        if not certain:
            self.sums.wander(since_us, here[0], way_m, over=over, top=top)
        else:
            self.sums.move(since_us, here[0], way_m, over=over, top=top)
            journey = self.journey
            journey.distance_m += way_m
            journey.moving_us += here[0] - since_us
            journey.speed_max = max(journey.speed_max, top)
        self.top = -1.0

    def _refer(self, here: Spot) -> None:
        self.reference = here
        self.sums.enter(here[0], self._cell(here))

    def _cell(self, here: Spot) -> int:
        of = self._cell_of
        return NO_CELL if of is None else of(here[1], here[2], CELL_RESOLUTION)

    def _anchor_at(self, here: Spot) -> None:
        self.anchor = here
        self.near = 0
        self.latitudes = self.longitudes = 0.0

    def _stop(self, ended_us: int, ended_by: EndedBy | None) -> Stop:
        anchor, fixes = self.anchor, self.near + 1
        return Stop(
            anchor[0], ended_us, anchor[1] + self.latitudes / fixes,
            wrapped(anchor[2] + self.longitudes / fixes), fixes, ended_by,
        )  # fmt: skip

    def _end_trip(self, end: Spot) -> None:
        if self.journey.distance_m >= self._trip_min_m:
            self.results.trips.append(self.journey.trip(end))

    def _closed(self, quarters: list[Quarter], cells: list[CellHour]) -> None:
        self.results.quarters += quarters
        self.results.cells += cells

    def take(self) -> Results:
        """What closed since the last call, and what is open as it stands now."""
        closed, self.results = self.results, Results()
        previous = self.previous
        if previous is NOWHERE:
            return closed
        quarters, cells = self.sums.open(previous[0])
        closed.quarters += quarters
        closed.cells += cells
        if self.stopped:
            closed.stops.append(self._stop(previous[0], None))
        if (trip := self.open_trip()) is not None:
            closed.trips.append(trip)
        return closed

    def open_trip(self) -> Trip | None:
        """The trip that is under way, if it is long enough to be one."""
        journey, pending = self.journey, self.sums.pending
        distance_m = journey.distance_m + sum(part.distance_m for part in pending)
        if self.stopped or distance_m < self._trip_min_m:
            return None
        moving_us = journey.moving_us + sum(part.moving_us for part in pending)
        top = max(journey.speed_max, *(part.speed_max for part in pending), -1.0)
        fixes = journey.fixes + self.near
        return Journey(journey.start, distance_m, moving_us, top, fixes).trip(
            self.previous, is_open=True
        )
