"""The follower: reads each driver's new fixes in the history and writes what the fold says.

State, cursor and results of some drivers commit together, whether fixes are new, a month old
(backfill) or folded again (repair): one way, and each fix counts once however it ends.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from common.event import EPOCH
from common.log import get
from common.settings.insight import INSIGHT_LAG_S
from consumers.insight.columns import time_of, us_of
from consumers.insight.database import Database
from consumers.insight.fold.boundary import FROM_THE_FIRST, RestartPoint, restart
from consumers.insight.fold.fold import Fold
from consumers.insight.fold.journey import NOWHERE, spot
from consumers.insight.fold.results import HOUR_US, Results
from consumers.insight.fold.rules import Rules
from consumers.insight.fold.state import CellOf, dump, load, new_fold
from consumers.insight.page import PG_EPOCH_US, FixRow
from consumers.insight.pauses import Pauses
from consumers.insight.shares import share_of
from consumers.insight.trip_news import EndedTrip, ended_trips, tell

# Fixes of each in it: a live driver has fewer. Whoever has more is folded on in a smaller company.
FIXES_MAX = 50
COMPANY = 5
COMPANY_FIXES_MAX = 20_000
# Marks and repairs of one turn, so that live work is never far away.
MARKS_MAX = 200
REPAIRS_MAX = 500
DAY = timedelta(days=1)
BEFORE = timedelta(microseconds=1)


class FoldBatch:
    """Some drivers' folds in one transaction."""

    def __init__(self, rules: Rules, cell_of: CellOf | None) -> None:
        self._rules = rules
        self._cell_of = cell_of
        self.folds: list[Fold] = []
        self.names: list[str] = []
        self.after: list[datetime] = []
        self._opened: list[int | None] = []
        self.counts: list[int] = []

    def enter(self, driver_id: str, after: datetime, fold: Fold) -> None:
        """One more driver, folded up to `after`."""
        self.names.append(driver_id)
        self.after.append(after)
        self.folds.append(fold)
        self.counts.append(0)
        opened = fold.open_trip()
        self._opened.append(opened.started_us if opened else None)

    def take(self, rows: Iterable[FixRow]) -> None:
        """Fold rows as they come."""
        last, add, count = 0, None, 0
        counts = self.counts
        for place, at, latitude, longitude, speed, accuracy in rows:
            if place != last:
                if last:
                    counts[last - 1] += count
                last, count = place, 0
                add = self.folds[place - 1].add
            count += 1
            add(at + PG_EPOCH_US, latitude, longitude, speed, accuracy)  # type: ignore[misc]
        if last:
            counts[last - 1] += count

    def outcome(
        self, changed: Sequence[int]
    ) -> tuple[
        list[tuple[str, int, datetime, bytes]],
        list[tuple[str, Results]],
        list[tuple[str, datetime]],
    ]:
        """States, results, and trips that were open and are none, of the changed drivers."""
        states, found, gone = [], [], []
        for place in changed:
            name, fold = self.names[place], self.folds[place]
            results = fold.take()
            states.append((name, share_of(name), time_of(fold.previous[0]), dump(fold)))
            found.append((name, results))
            opened = self._opened[place]
            if opened is not None and all(trip.started_us != opened for trip in results.trips):
                gone.append((name, time_of(opened)))
        return states, found, gone


class Follower:
    """Folds the drivers of the shares that it is told, over one connection."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        cell_of: CellOf | None,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._cell_of = cell_of
        self._advanced = advanced
        self._pauses = Pauses()
        self._log = get("insight")
        self.fixes = 0
        self.repaired = 0
        self._told = 0, 0

    async def turn(self, shares: set[int], until: datetime | None = None) -> bool:
        """Repairs, then what is new. Returns whether there was more than one turn takes.

        `until` is INSIGHT_LAG_S ago, unless a test knows that nothing older can be stored.
        """
        if until is None:
            until = await self._database.now() - timedelta(seconds=INSIGHT_LAG_S)
        while await self._database.gather(MARKS_MAX, share_of):
            self._advanced()
        more = await self.repair(shares, until)
        await self.sweep(shares, until)
        return more

    def take_counts(self) -> tuple[int, int]:
        """Fixes and repairs since the last call."""
        counts = self.fixes - self._told[0], self.repaired - self._told[1]
        self._told = self.fixes, self.repaired
        return counts

    async def sweep(self, shares: set[int], until: datetime) -> None:
        """Fold everybody up to `until`, day by day."""
        swept = await self._database.swept()
        since = min((swept.get(share, EPOCH) for share in shares), default=until)
        self._pauses.begin(since, until)
        for day in await self._database.days():
            if day + DAY <= since or day > until:
                continue
            # The shares that are not as far; a share that was taken over may be behind.
            behind = {share for share in shares if swept.get(share, EPOCH) < day + DAY}
            end = min(day + DAY - BEFORE, until)
            before = self.fixes
            await self._day(day, end, behind)
            await self._database.sweep(sorted(behind), min(day + DAY, until))
            if day + DAY <= until and self.fixes > before:
                self._log.info("insight.day", day=f"{day:%Y-%m-%d}", fixes=self.fixes - before)

    async def _day(self, day: datetime, end: datetime, shares: set[int]) -> None:
        after, names_max = "", self._pauses.names_max
        while names := await self._database.names(day, after, names_max):
            after = names[-1]
            ours = [name for name in names if share_of(name) in shares]
            left: list[str] = []
            for first in range(0, len(ours), self._pauses.drivers_max):
                some = ours[first : first + self._pauses.drivers_max]
                left += await self._fold(some, (day, end), FIXES_MAX)
                await self._pauses.rest()
            while left:
                some, left = left[:COMPANY], left[COMPANY:]
                left = await self._fold(some, (day, end), COMPANY_FIXES_MAX) + left
            if len(names) < names_max:
                break

    async def _fold(
        self, names: Sequence[str], span: tuple[datetime, datetime], limit: int
    ) -> list[str]:
        """The next fixes of some drivers, in one transaction; who may have more."""
        self._advanced()
        database = self._database
        async with database.connection.transaction():
            known = await database.states(names)
            batch = FoldBatch(self._rules, self._cell_of)
            for name in names:
                folded_to, state = known.get(name, (EPOCH, b""))
                if folded_to >= span[1]:
                    continue
                fold = (
                    load(state, self._rules, self._cell_of)
                    if state
                    else new_fold(self._rules, self._cell_of)
                )
                batch.enter(name, folded_to, fold)
            if not batch.names:
                return []
            await self._read(batch, span, limit)
            changed = [place for place, count in enumerate(batch.counts) if count]
            if changed:
                outcome = batch.outcome(changed)
                await database.write(*outcome)
                await tell(database.connection, ended_trips(outcome[1]))
        return [batch.names[place] for place in changed if batch.counts[place] == limit]

    async def _read(self, batch: FoldBatch, span: tuple[datetime, datetime], limit: int) -> None:
        drivers = list(zip(batch.names, batch.after, strict=True))
        await self._database.fixes(drivers, span, limit, batch.take)
        self.fixes += sum(batch.counts)

    async def repair(self, shares: set[int], until: datetime) -> bool:
        """Fold again the drivers whose past has changed. Returns whether more are waiting."""
        rows = await self._database.connection.fetch(
            "SELECT driver_id FROM insight_repairs WHERE share = ANY($1::smallint[])"
            " ORDER BY driver_id LIMIT $2",
            sorted(shares),
            REPAIRS_MAX,
        )
        for row in rows:
            await self._repair(row[0], until)
        return len(rows) == REPAIRS_MAX

    async def _repair(self, driver_id: str, until: datetime) -> None:
        """One driver, in one transaction: readers see the old results until all are new."""
        database, run = self._database, self._database.connection
        async with run.transaction():
            since = await run.fetchval(
                "DELETE FROM insight_repairs WHERE driver_id = $1 RETURNING since", driver_id
            )
            known = (await database.states([driver_id])).get(driver_id)
            if since is None:
                return
            if known is not None and since <= known[0]:
                history_from = await database.history_from()
                at = await self._restart(driver_id, since, history_from)
                fold, after = await self._begin_again(driver_id, at, history_from)
                until = max(until, known[0])
            elif known is not None:
                # What came late lies after all that was folded, and goes on from there.
                fold, after = load(known[1], self._rules, self._cell_of), known[0]
            else:
                fold, after = new_fold(self._rules, self._cell_of), EPOCH
            # Last: whoever makes something happen waits until this transaction ends.
            await tell(run, await self._catch_up(driver_id, fold, after, until))
        self.repaired += 1

    async def _restart(
        self, driver_id: str, since: datetime, history_from: datetime
    ) -> RestartPoint:
        database = self._database

        async def last_boundary(at_us: int) -> int | None:
            found = await database.boundary(driver_id, time_of(at_us), history_from)
            return None if found is None else us_of(found)

        at = await restart(us_of(since), last_boundary)
        if at is FROM_THE_FIRST and history_from > EPOCH:
            # What was computed from fixes that are gone stays; the first boundary after them will
            # do, though not the hour it lies in.
            first = await database.first_boundary(driver_id, history_from)
            if first is not None:
                first_us = us_of(first)
                return RestartPoint(first_us, first_us - first_us % HOUR_US + HOUR_US)
        return at

    async def _begin_again(
        self, driver_id: str, at: RestartPoint, history_from: datetime
    ) -> tuple[Fold, datetime]:
        """Cut the results off, and the fold as it was there."""
        fold = new_fold(self._rules, self._cell_of)
        if at.fix_us is None or at.sums_us is None:
            await self._database.cut(driver_id, history_from, history_from)
            return fold, EPOCH
        begin = time_of(at.fix_us)
        await self._database.cut(driver_id, begin, time_of(at.sums_us))
        fold.sums.from_us = at.sums_us
        here, *before = await self._database.around(driver_id, begin)
        fold.begin_again(
            spot(us_of(before[0][0]), *before[0][1:3]) if before else NOWHERE,
            spot(us_of(here[0]), *here[1:3]),
            *here[3:5],
        )
        return fold, begin

    async def _catch_up(
        self, driver_id: str, fold: Fold, after: datetime, until: datetime
    ) -> list[EndedTrip]:
        """Fold on to where the driver was, writing page by page in the caller's transaction.

        Returns the trips that ended.
        """
        limit, ended = COMPANY * COMPANY_FIXES_MAX, []
        while True:
            self._advanced()
            batch = FoldBatch(self._rules, self._cell_of)
            batch.enter(driver_id, after, fold)
            await self._read(batch, (after, until), limit)
            if fold.previous is not NOWHERE:
                outcome = batch.outcome([0])
                await self._database.write(*outcome)
                ended += ended_trips(outcome[1])
                after = time_of(fold.previous[0])
            if batch.counts[0] < limit:
                return ended
