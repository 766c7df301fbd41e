"""Positions of drivers before the number of shards changed: nobody is moved back by the change."""

import time
from collections.abc import Sequence

from common.redis.cluster.each_server import ask_each
from common.redis.nodes import Nodes
from common.redis.wire import Command, Wire
from common.shards import Shards


class EarlierPositions:
    """Reads `live:{T}` of the shards `older`; nothing where there are none.

    They are not written any more when a worker begins, so `kept_s` after that (LOCATION_TTL) no
    position there is newer than what may be shown, and other servers need not be asked any more.
    """

    def __init__(self, nodes: Nodes, older: Shards | None, *, kept_s: float) -> None:
        self._nodes = nodes
        self._older = older
        self._kept_s = kept_s
        self._until_s: float | None = None

    async def read(self, driver_ids: Sequence[str]) -> dict[str, bytes]:
        """The newest event there of each driver that has one. Raises `Overloaded`.

        Of a cluster a server may be away. Nobody can read what it has, so its drivers go on without
        it: to stay live is more than that a late fix might count as their newest.
        """
        if self._older is None or not driver_ids:
            return {}
        now_s = time.monotonic()
        if self._until_s is None:
            self._until_s = now_s + self._kept_s
        if now_s > self._until_s:
            self._older = None
            return {}
        by_shard: dict[int, list[str]] = {}
        for driver_id in driver_ids:
            by_shard.setdefault(self._older.of(driver_id).index, []).append(driver_id)
        asked: dict[Wire, list[Command]] = {}
        names_of: dict[Wire, list[list[str]]] = {}
        for index, names in by_shard.items():
            shard = self._older[index]
            wire = self._nodes.wire(shard)
            asked.setdefault(wire, []).append(("HMGET", shard.keys.live, *names))
            names_of.setdefault(wire, []).append(names)
        found: dict[str, bytes] = {}
        for wire, replies in (await ask_each(self._nodes, asked)).items():
            for names, values in zip(names_of[wire], replies, strict=True):
                found |= {name: value for name, value in zip(names, values, strict=True) if value}
        return found
