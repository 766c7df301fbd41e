"""Which connection serves a key: today one server holds them all.

Callers name a shard or an order and get the wire to its server, so that a cluster needs no other
change than here.
"""

from collections.abc import Sequence

from common.redis.wire import Wire
from common.shards import Shard


class Nodes:
    """The connections of a process, by what they serve."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def wire(self, shard: Shard) -> Wire:
        """The connection to the server that holds the keys of `shard`."""
        return self._wire

    def order_wire(self, order_id: str) -> Wire:
        """The connection to the server that holds the keys of an order."""
        return self._wire

    def bucket_wire(self, bucket: int) -> Wire:
        """The connection to the server that holds the keys of a bucket of orders."""
        return self._wire

    def single_wire(self) -> Wire:
        """The connection to the server that holds the keys that there is one of."""
        return self._wire

    @property
    def wires(self) -> Sequence[Wire]:
        """A connection to each server."""
        return (self._wire,)
