"""The live stage: a batch moves drivers on the map and reaches the orders' customers, at once.

It never waits for the database. State that Redis refuses (full memory) is kept, newest per
driver, and written as soon as Redis takes it; what is published is published once.
"""

import asyncio
from collections.abc import Sequence
from itertools import islice

import hiredis

from common.errors import PoisonEntry
from common.event import moment_of
from common.keys import ShardKeys, fleet_channel, order_key
from common.log import Repeated, get
from common.redis.wire import Command, Reply, Wire
from consumers.live.moves import (
    driver_moves,
    drop_oldest,
    fleet_message,
    late_orders,
    order_commands,
    order_moves,
    publish_commands,
    state_commands,
)
from consumers.live.newest import Newest, Time
from consumers.stream.entry import Entry

# Drivers that expire in one step: bounds how long a step holds up the live loop.
EXPIRE_AT_ONCE = 1000
# Moves written in one piece when Redis takes state again: bounds how long it holds up Redis.
WRITE_AT_ONCE = 4000


class Live:
    """Live state of one shard. Raises `Overloaded` when Redis does not answer."""

    def __init__(
        self, wire: Wire, keys: ShardKeys, *, shard: int, names_max: int, order_ttl_s: int
    ) -> None:
        self._wire = wire
        self._keys = keys
        self._order_ttl_s = order_ttl_s
        self._fleet = fleet_channel(shard)
        self._drivers = Newest(names_max)
        self._orders = Newest(names_max)
        self._drivers_unwritten: dict[str, Entry] = {}
        self._orders_unwritten: dict[str, Entry] = {}
        self._unpublished: dict[str, Entry] = {}
        self._names_max = names_max
        self._refused = Repeated(get("live"), "live.refused")
        # The live loop and the history's catching up both come here; one batch at a time.
        self._turn = asyncio.Lock()
        # Whether anybody watches the whole fleet; asked now and then, see `ask_watched`.
        self._watched = False

    async def apply(self, entries: Sequence[Entry]) -> None:
        """Make the moves of a batch, in one round trip (two if it holds unknown names)."""
        async with self._turn:
            await self._apply(entries)

    async def _apply(self, entries: Sequence[Entry]) -> None:
        await self._look_up(entries)
        drivers = driver_moves(entries, self._drivers)
        orders = order_moves(entries, self._orders)
        # A newer move takes the place of one that could not be written before.
        self._drivers_unwritten |= drivers
        self._orders_unwritten |= orders
        self._unpublished |= orders
        await self._write(drivers, orders)
        self._drivers.trim()
        self._orders.trim()
        for unwritten in (self._drivers_unwritten, self._orders_unwritten, self._unpublished):
            drop_oldest(unwritten, self._names_max)

    async def retry(self) -> None:
        """Write what Redis refused before, or what was lost with a connection, in pieces."""
        async with self._turn:
            while self._drivers_unwritten or self._orders_unwritten or self._unpublished:
                drivers = dict(islice(self._drivers_unwritten.items(), WRITE_AT_ONCE))
                waiting = self._orders_unwritten or self._unpublished
                orders = dict(islice(waiting.items(), WRITE_AT_ONCE))
                if not await self._write(drivers, orders):
                    return

    async def expire(self, before_ms: int) -> int:
        """Forget drivers not heard of since `before_ms`, some at a time. Returns how many."""
        keys = self._keys
        async with self._turn:
            gone = await self._wire.send(
                "ZRANGE", keys.seen, "-inf", before_ms, "BYSCORE", "LIMIT", 0, EXPIRE_AT_ONCE
            )
            if gone:
                await self._wire.pipeline_raw(
                    [
                        ("ZREM", keys.geo, *gone),
                        ("HDEL", keys.live, *gone),
                        ("ZREM", keys.seen, *gone),
                    ]
                )
        return len(gone)

    async def _write(self, drivers: dict[str, Entry], orders: dict[str, Entry]) -> bool:
        """Write and publish these moves; whether Redis took the state."""
        state = state_commands(drivers, self._keys)
        state += order_commands(orders, self._order_ttl_s)
        publish = publish_commands({o: e for o, e in orders.items() if o in self._unpublished})
        if self._watched and drivers:
            publish.append(("PUBLISH", self._fleet, fleet_message(drivers)))
        commands: list[Command] = [*state, *publish]
        if not commands:
            return True
        replies = await self._wire.pipeline_raw(commands)
        # Published, also where the state was refused; only a lost connection leaves it open.
        for name in orders:
            self._unpublished.pop(name, None)
        errors = [r for r in replies[: len(state)] if isinstance(r, hiredis.ReplyError)]
        if errors:
            self._refused.failed(error=str(errors[0]), drivers=len(self._drivers_unwritten))
            return False
        self._refused.healed()
        for name in drivers:
            self._drivers_unwritten.pop(name, None)
        for name in orders:
            self._orders_unwritten.pop(name, None)
        return True

    async def _look_up(self, entries: Sequence[Entry]) -> None:
        drivers = self._drivers.unknown(e.event.driver_id for e in entries)
        orders = self._orders.unknown(
            e.event.order_id for e in entries if e.event.order_id is not None
        )
        # An order that went to another driver may have a newer fix in another shard.
        orders += late_orders(entries)
        if drivers:
            reply = await self._wire.send("HMGET", self._keys.live, *drivers)
            _learn(self._drivers, drivers, reply)
        if orders:
            reply = await self._wire.send("MGET", *map(order_key, orders))
            _learn(self._orders, orders, reply)

    async def ask_watched(self) -> None:
        """Ask whether anybody subscribes to the fleet; nobody pays for maps nobody looks at."""
        reply = await self._wire.send("PUBSUB", "NUMSUB", self._fleet)
        self._watched = reply[1] > 0


def _learn(newest: Newest, names: Sequence[str], values: Sequence[Reply]) -> None:
    for name, value in zip(names, values, strict=True):
        newest.learn(name, _time_of(value))


def _time_of(value: bytes | None) -> Time | None:
    if value is None:
        return None
    try:
        return moment_of(value)
    except PoisonEntry:
        # Somebody wrote the key by hand: the next event replaces it.
        return None
