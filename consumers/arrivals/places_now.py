"""Where the drivers of active orders are now, and how they moved in the last minutes."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from common.event import MALFORMED, StoredTime
from common.keys import order_key
from common.redis.cluster.each_server import ask_each
from common.redis.nodes import Nodes
from common.redis.wire import Command, Wire
from common.roads.way import Point
from common.shards import Shards
from consumers.arrivals.followed import FollowedOrder
from consumers.arrivals.movement import Movement


class _Fix(msgspec.Struct, gc=False):
    """Of an event, what is needed here."""

    driver_id: str
    latitude: float
    longitude: float
    recorded_at: StoredTime
    received_at: StoredTime


_decode = msgspec.json.Decoder(_Fix).decode


class DriverPlace:
    """A driver's newest place; `at` is its effective time, `recorded_at` its device's."""

    __slots__ = ("at", "driver_id", "here", "movement", "raw", "recorded_at")

    def __init__(self) -> None:
        self.raw = b""
        self.driver_id = ""
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
        if fix.driver_id != self.driver_id:
            self.driver_id, self.movement = fix.driver_id, Movement()
        elif self.at is not None and at <= self.at:
            return
        self.at, self.recorded_at = at, fix.recorded_at
        self.here = (fix.latitude, fix.longitude)
        self.movement.add(at.timestamp(), fix.latitude, fix.longitude)


class DriverPlaces:
    """Reads `live:{T}`, and the newest event of orders that name no driver: anybody may be it.

    Raises `Overloaded`, `hiredis.ReplyError`. Of a cluster a server may be away: its drivers have
    no place until it is back.
    """

    def __init__(self, nodes: Nodes, shards: Shards) -> None:
        self._nodes = nodes
        self._shards = shards
        # By driver, or by order where that names none: a line break stands in no driver's id.
        self._places: dict[str, DriverPlace] = {}
        self._seen: set[str] = set()
        # Servers that did not answer the last look.
        self.away = 0

    async def look(
        self, orders: Iterable[FollowedOrder]
    ) -> list[tuple[FollowedOrder, DriverPlace]]:
        """The orders with the places of their drivers; those that have none are left out."""
        by_name: dict[str, list[FollowedOrder]] = {}
        for followed in orders:
            order = followed.order
            by_name.setdefault(order.driver_id or f"\n{order.order_id}", []).append(followed)
        found: dict[str, DriverPlace] = {}
        self.away = 0
        shards: Shards | None = self._shards
        # While the number of shards changes a driver may not have moved since.
        while shards is not None and (left := [name for name in by_name if name not in found]):
            asked = self._asked(left, shards)
            commands = {wire: [command for command, _ in part] for wire, part in asked.items()}
            answers = await ask_each(self._nodes, commands)
            self.away = max(self.away, len(asked) - len(answers))
            for wire, replies in answers.items():
                for (_, names), values in zip(asked[wire], replies, strict=True):
                    for name, raw in zip(names, values, strict=True):
                        if raw is not None:
                            found[name] = self._take(name, raw)
            shards = shards.older
        return [(followed, place) for name, place in found.items() for followed in by_name[name]]

    def adopt(self, shards: Shards) -> None:
        """The number of shards changes: places are in these from now on."""
        self._shards = shards

    def _asked(
        self, names: Iterable[str], shards: Shards
    ) -> dict[Wire, list[tuple[Command, Sequence[str]]]]:
        """What is asked of each server, and whose places the replies are."""
        asked: dict[Wire, list[tuple[Command, Sequence[str]]]] = {}
        by_shard: dict[int, list[str]] = {}
        for name in names:
            if name.startswith("\n"):
                order_id = name[1:]
                command: Command = ("MGET", order_key(order_id))
                asked.setdefault(self._nodes.order_wire(order_id), []).append((command, (name,)))
            else:
                by_shard.setdefault(shards.of(name).index, []).append(name)
        for index, drivers in by_shard.items():
            shard = shards[index]
            command = ("HMGET", shard.keys.live, *drivers)
            asked.setdefault(self._nodes.wire(shard), []).append((command, drivers))
        return asked

    def _take(self, name: str, raw: bytes) -> DriverPlace:
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = DriverPlace()
        self._seen.add(name)
        place.take(raw)
        return place

    def forget_others(self) -> None:
        """Forget whom nobody asked for since the last call."""
        self._places = {name: place for name, place in self._places.items() if name in self._seen}
        self._seen = set()
