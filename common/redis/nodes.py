"""Which connection serves a key. Callers name a shard, an order or a key, and get the wire to the
server that has it: always the same one, or in a cluster that of its primary (`ClusterNodes`).
"""

from collections.abc import Callable, Sequence
from typing import ClassVar

from common.redis.cluster.slot_map import Address
from common.redis.wire import Wire
from common.shards import Shard


class Nodes:
    """The connections of a process, by what they serve: here one for everything."""

    is_cluster: ClassVar[bool] = False
    # What publishes, and what asks who listens: in a cluster to the owner of the channel's slot
    # alone, since a plain PUBLISH there costs every node a message.
    publish: ClassVar[str] = "PUBLISH"
    count_subscribers: ClassVar[tuple[str, str]] = ("PUBSUB", "NUMSUB")

    # Of a cluster: whether a server answered and is no node of one.
    none_is_cluster = False

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    async def start(self) -> None:
        """Connect, and keep connected until `close`. Returns after the first attempt."""
        await self._wire.start()

    async def close(self) -> None:
        """Stop; what still waits fails."""
        await self._wire.close()

    def wire(self, shard: Shard) -> Wire:
        """The connection to the server that holds the keys of `shard`."""
        return self._wire

    def order_wire(self, order_id: str) -> Wire:
        """The connection to the server that holds the keys of an order."""
        return self._wire

    def bucket_wire(self, bucket: int) -> Wire:
        """The connection to the server that holds the keys of a bucket of orders."""
        return self._wire

    def key_wire(self, key: str | bytes) -> Wire:
        """The connection to the server that holds `key`."""
        return self._wire

    @property
    def wires(self) -> Sequence[Wire]:
        """A connection to each server."""
        return (self._wire,)

    @property
    def primaries(self) -> Sequence[Address]:
        """Where the servers are, in a cluster."""
        return ()

    def owner(self, slot: int) -> Address | None:
        """Which of them serves a slot, as far as is known."""
        return None

    def doubt(self) -> None:
        """What is known of the servers may be wrong: here never."""

    def on_change(self, changed: Callable[[], None]) -> None:
        """`changed` is called when other servers serve, or serve other keys: here never."""
