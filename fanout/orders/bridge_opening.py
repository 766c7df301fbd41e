"""Opens Pub/Sub connections to the servers of a Redis."""

from collections.abc import Callable
from functools import partial

from common.redis.cluster.slot_map import Address
from common.redis.opening import locator
from common.redis.place import RedisPlace
from fanout.orders.bridge import Bridge, Routes, open_bridge
from fanout.orders.lane import Connect


class BridgeOpening:
    """`look` is shown some messages once delivered."""

    def __init__(
        self,
        place: RedisPlace,
        *,
        name: str,
        reply_timeout_s: float,
        look: Callable[[bytes], None],
    ) -> None:
        self._place = place
        self._open = partial(
            open_bridge,
            name=name,
            reply_timeout_s=reply_timeout_s,
            look=look,
            is_sharded=place.is_cluster,
        )

    def connect_to(self, address: Address) -> Connect:
        """What connects to a primary of a cluster, or to the one there is. Raises `FAILURES`."""
        if self._place.is_cluster:
            return partial(self._open, self._place.at(*address))
        locate = locator(self._place)

        async def connect(routes: Routes) -> Bridge:
            return await self._open(await locate(), routes)

        return connect
