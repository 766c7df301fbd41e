"""The engine's state in the database. One connection, which also holds the locks of its shards.

Where each stream was read to, what is known then, and what came of it commit together: whatever
ends this process, the next one goes on where this one was stored, and makes nothing happen twice.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import asyncpg

from common.events.happening import Happening
from common.events.record import lock, record
from common.orders.order import Order
from common.orders.store import move
from common.redis.carry_over import old_stream_name
from common.shards import Shards
from consumers.places.reader import ReadTo
from consumers.places.rules.engine import Engine, OrderMove, Outcome, ShardDrivers, VisitChange
from consumers.places.rules.left_out import LeftOut, Rule
from consumers.places.rules.membership import Visit, Visits
from consumers.places.snapshot import NOTHING, encode_change, encode_state, load_state
from consumers.stream.groups import START

# A snapshot is written once the changes since the last are larger than it, and than this: so what
# is written at most doubles, and a start reads little more than it needs.
CHANGES_BYTES_MIN = 65_536

# What an event is refused with for what it says (SQLSTATE 22*, 23*).
REFUSED = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError)

_VISITS = """
INSERT INTO fence_visits (
    driver_id, geofence_id, entered_at, entered_recorded_at, dwelt, outside
)
SELECT * FROM unnest(
    $1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bool[], $6::smallint[]
)
ON CONFLICT (driver_id, geofence_id) DO UPDATE SET
    entered_at = excluded.entered_at, entered_recorded_at = excluded.entered_recorded_at,
    dwelt = excluded.dwelt, outside = excluded.outside
"""
_VISITS_ENDED = """
DELETE FROM fence_visits USING unnest($1::text[], $2::text[]) AS ended (d, g)
WHERE driver_id = d AND geofence_id = g
"""
_CHANGES = """
INSERT INTO places_changes (stream, through, entries, changes)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bytea[])
"""
_SNAPSHOT = """
INSERT INTO places_streams (stream, through, entries, state) VALUES ($1, $2, $3, $4)
ON CONFLICT (stream) DO UPDATE SET
    through = excluded.through, entries = excluded.entries, state = excluded.state
"""
_MISSED = """
INSERT INTO places_streams (stream, through, entries, state, missed) VALUES ($1, $2, 0, $3, $4)
ON CONFLICT (stream) DO UPDATE SET missed = places_streams.missed + excluded.missed
RETURNING missed
"""

# Only while nothing is known of the new name.
_RENAMED = """
UPDATE {table} SET stream = $2 WHERE stream = $1
AND NOT EXISTS (SELECT FROM {table} AS known WHERE known.stream = $2)
"""


class PlacesStore:
    """Loads and stores an engine. Not for concurrent use; raises what asyncpg raises."""

    def __init__(self, connection: asyncpg.Connection, shards: Shards) -> None:
        self.connection = connection
        self._shards = shards
        # Of each shard: bytes of its snapshot, and of the changes since.
        self._snapshot_bytes: dict[int, int] = {}
        self._changes_bytes: dict[int, int] = {}
        self._left_out: list[LeftOut] = []

    async def load(
        self, held: Collection[int], ttl: timedelta, radius_m: float
    ) -> tuple[Engine, dict[int, ReadTo]]:
        """The engine of these shards as it was stored last, and how far each was read."""
        states: dict[int, ShardDrivers] = {}
        places: dict[int, ReadTo] = {}
        for number in sorted(held):
            stream = self._shards[number].keys.stream
            await self._carry_over(old_stream_name(stream), stream)
            row = await self.connection.fetchrow(
                "SELECT through, entries, state FROM places_streams WHERE stream = $1", stream
            )
            changes = await self.connection.fetch(
                "SELECT through, entries, changes AS state FROM places_changes WHERE stream = $1"
                " ORDER BY id",
                stream,
            )
            rows = [row, *changes] if row else changes
            last = rows[-1] if rows else None
            places[number] = ReadTo(last[0].encode(), last[1]) if last else ReadTo()
            states[number] = load_state((r["state"] for r in rows), ttl)
            self._snapshot_bytes[number] = len(row["state"]) if row else 0
            self._changes_bytes[number] = sum(len(r["state"]) for r in changes)
        return Engine(states, await self._visits(held), radius_m=radius_m), places

    async def _carry_over(self, old: str | None, new: str) -> None:
        """What was stored under the name that the stream had in the format before."""
        if old is not None:
            for table in ("places_streams", "places_changes"):
                await self.connection.execute(_RENAMED.format(table=table), old, new)

    async def _visits(self, held: Collection[int]) -> dict[str, Visits]:
        rows = await self.connection.fetch(
            "SELECT driver_id, geofence_id, entered_at, entered_recorded_at, dwelt, outside"
            " FROM fence_visits"
        )
        found: dict[str, dict[str, Visit]] = {}
        for driver_id, geofence_id, *visit in rows:
            if self._shards.of(driver_id).index in held:
                found.setdefault(driver_id, {})[geofence_id] = Visit(*visit)
        return dict(found)

    async def write(
        self, engine: Engine, places: Mapping[int, ReadTo], read: Iterable[int], found_at: datetime
    ) -> list[Order]:
        """Store what came of a turn, in one transaction; the orders that came into a new state.

        `places` is how far each shard was read, `read` the shards of which something was. After
        an exception nobody knows whether it was stored: the engine must be loaded again.
        """
        outcome = engine.take()
        changed = {*read, *outcome.shards}
        if not changed and not outcome.steps and not outcome.visits:
            return []
        async with self.connection.transaction():
            await self._write_visits(outcome.visits)
            await self._write_shards(engine, places, sorted(changed), outcome)
            return await self._write_steps(outcome.steps, found_at)

    async def _write_visits(self, changes: Sequence[VisitChange]) -> None:
        # Of several changes of one visit the last is written: a statement may touch a row once.
        last: Mapping[tuple[str, str], Visit | None] = {(d, g): visit for d, g, visit in changes}
        ended = [key for key, visit in last.items() if visit is None]
        if ended:
            await self.connection.execute(_VISITS_ENDED, *zip(*ended, strict=True))
        rows = [
            (*key, v.entered_at, v.entered_recorded_at, v.dwelt, v.outside)
            for key, v in last.items()
            if v is not None
        ]
        if rows:
            await self.connection.execute(_VISITS, *zip(*rows, strict=True))

    async def _write_shards(
        self, engine: Engine, places: Mapping[int, ReadTo], shards: Iterable[int], outcome: Outcome
    ) -> None:
        """What changed in each of them, or a snapshot once that is shorter."""
        rows: list[tuple[str, str, int, bytes]] = []
        for shard in shards:
            stream, (entry_id, entries) = self._shards[shard].keys.stream, places[shard]
            key = stream, entry_id.decode(), entries
            change = outcome.shards.get(shard)
            changes = NOTHING if change is None else encode_change(change)
            size = self._changes_bytes[shard] + len(changes)
            if size < max(CHANGES_BYTES_MIN, self._snapshot_bytes[shard]):
                self._changes_bytes[shard] = size
                rows.append((*key, changes))
                continue
            snapshot = encode_state(engine.shards[shard])
            self._snapshot_bytes[shard], self._changes_bytes[shard] = len(snapshot), 0
            await self.connection.execute(_SNAPSHOT, *key, snapshot)
            await self.connection.execute("DELETE FROM places_changes WHERE stream = $1", stream)
        if rows:
            await self.connection.execute(_CHANGES, *zip(*rows, strict=True))

    async def _write_steps(
        self, steps: Sequence[Happening | OrderMove], found_at: datetime
    ) -> list[Order]:
        """In their order: each driver's happenings follow each other as they came about."""
        if not steps:
            return []
        await lock(self.connection)
        happenings: list[Happening] = []
        moved: list[Order] = []
        for step in steps:
            if isinstance(step, Happening):
                happenings.append(step)
                continue
            await self._record(happenings)
            happenings = []
            order = await move(
                self.connection,
                step.order_id,
                step.state,
                step.at,
                cause="fence",
                recorded_at=step.recorded_at,
                found_at=found_at,
            )
            if order is not None:
                moved.append(order)
        await self._record(happenings)
        return moved

    async def _record(self, happenings: Sequence[Happening]) -> None:
        """Without those that the database refuses, which are found by halving."""
        if not happenings:
            return
        try:
            async with self.connection.transaction():
                await record(self.connection, happenings)
        except REFUSED as e:
            if len(happenings) == 1:
                driver_id = happenings[0].driver_id or ""
                self._left_out.append(LeftOut(Rule.EVENTS, driver_id, None, e))
                return
            middle = len(happenings) // 2
            await self._record(happenings[:middle])
            await self._record(happenings[middle:])

    def take_left_out(self) -> list[LeftOut]:
        """Events that were refused, each only once."""
        left_out, self._left_out = self._left_out, []
        return left_out

    async def count_missed(self, shard: int, entries: int) -> int:
        """Count entries of a shard that were trimmed before they were read; how many by now."""
        total: int = await self.connection.fetchval(
            _MISSED, self._shards[shard].keys.stream, START.decode(), NOTHING, entries
        )
        return total
