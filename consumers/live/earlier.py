"""Positions of drivers before the number of shards changed: nobody is moved back by the change."""

from collections.abc import Sequence

from common.redis.nodes import Nodes
from common.shards import Shards


class EarlierPositions:
    """Reads `live:{T}` of the shards `older`; nothing where there are none."""

    def __init__(self, nodes: Nodes, older: Shards | None) -> None:
        self._nodes = nodes
        self._older = older

    async def read(self, driver_ids: Sequence[str]) -> dict[str, bytes]:
        """The newest event there of each driver that has one. Raises `Overloaded`."""
        if self._older is None or not driver_ids:
            return {}
        by_shard: dict[int, list[str]] = {}
        for driver_id in driver_ids:
            by_shard.setdefault(self._older.of(driver_id).index, []).append(driver_id)
        found: dict[str, bytes] = {}
        for index, names in by_shard.items():
            shard = self._older[index]
            values = await self._nodes.wire(shard).send("HMGET", shard.keys.live, *names)
            found |= {name: value for name, value in zip(names, values, strict=True) if value}
        return found
