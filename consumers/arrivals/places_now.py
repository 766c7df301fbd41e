"""Where the drivers of active orders are now, and how they moved in the last minutes."""

from collections.abc import Collection, Iterable
from datetime import datetime

import msgspec

from common.event import MALFORMED, StoredTime
from common.redis.nodes import Nodes
from common.redis.wire import Wire
from common.roads.way import Point
from common.shards import Shards
from consumers.arrivals.movement import Movement


class _Fix(msgspec.Struct, gc=False):
    """Of an event, what is needed here."""

    latitude: float
    longitude: float
    recorded_at: StoredTime
    received_at: StoredTime


_decode = msgspec.json.Decoder(_Fix).decode


class DriverPlace:
    """A driver's newest place; `at` is its effective time, `recorded_at` its device's."""

    __slots__ = ("at", "here", "movement", "raw", "recorded_at")

    def __init__(self) -> None:
        self.raw = b""
        self.at: datetime | None = None
        self.recorded_at: datetime | None = None
        self.here: Point = (0.0, 0.0)
        self.movement = Movement()

    def take(self, raw: bytes) -> None:
        """The newest event. Bytes that somebody made by hand change nothing."""
        if raw == self.raw:
            return
        self.raw = raw
        try:
            fix = _decode(raw)
        except MALFORMED:
            return
        at = min(fix.recorded_at, fix.received_at)
        if self.at is not None and at <= self.at:
            return
        self.at, self.recorded_at = at, fix.recorded_at
        self.here = (fix.latitude, fix.longitude)
        self.movement.add(at.timestamp(), fix.latitude, fix.longitude)


class DriverPlaces:
    """Reads `live:{T}`. Raises `Overloaded`, `hiredis.ReplyError`."""

    def __init__(self, nodes: Nodes, shards: Shards) -> None:
        self._nodes = nodes
        self._shards = shards
        self._places: dict[str, DriverPlace] = {}

    async def look(self, drivers: Iterable[str]) -> dict[str, DriverPlace]:
        """The places of these drivers, without those that have none."""
        by_shard: dict[int, list[str]] = {}
        for driver_id in dict.fromkeys(drivers):
            by_shard.setdefault(self._shards.of(driver_id).index, []).append(driver_id)
        by_wire: dict[Wire, list[int]] = {}
        for index in by_shard:
            by_wire.setdefault(self._nodes.wire(self._shards[index]), []).append(index)
        found: dict[str, DriverPlace] = {}
        for wire, indexes in by_wire.items():
            asked = [("HMGET", self._shards[i].keys.live, *by_shard[i]) for i in indexes]
            for index, values in zip(indexes, await wire.pipeline(asked), strict=True):
                for driver_id, raw in zip(by_shard[index], values, strict=True):
                    if raw is not None:
                        found[driver_id] = self._take(driver_id, raw)
        return found

    def _take(self, driver_id: str, raw: bytes) -> DriverPlace:
        place = self._places.get(driver_id)
        if place is None:
            place = self._places[driver_id] = DriverPlace()
        place.take(raw)
        return place

    def keep(self, drivers: Collection[str]) -> None:
        """Forget all drivers but these."""
        self._places = {d: place for d, place in self._places.items() if d in drivers}
