"""The active orders that have a drop-off, as their books in Redis have them.

A look reads some books as a whole, which costs next to nothing: what has not changed is known by
its bytes. So nothing that was announced can be missed, and no database is needed.
"""

from collections.abc import Mapping, Sequence

from common.keys import BOOK_KEPT, ORDER_BUCKETS, order_book_key
from common.orders.book import order_in
from common.redis.nodes import Nodes
from common.redis.wire import Reply, Wire
from consumers.arrivals.followed import FollowedOrder

_KEPT = BOOK_KEPT.encode()


class ActiveOrders:
    """Raises `Overloaded`, `hiredis.ReplyError`; what was known stays known then."""

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        # By bucket and id: the orders that are followed, and the bytes of those that are not.
        self._books: list[dict[bytes, FollowedOrder]] = [{} for _ in range(ORDER_BUCKETS)]
        self._others: list[dict[bytes, bytes]] = [{} for _ in range(ORDER_BUCKETS)]

    def __len__(self) -> int:
        return sum(map(len, self._books))

    async def look(self, buckets: Sequence[int]) -> list[FollowedOrder]:
        """The orders of these buckets as they are now."""
        by_wire: dict[Wire, list[int]] = {}
        for bucket in buckets:
            by_wire.setdefault(self._nodes.bucket_wire(bucket), []).append(bucket)
        for wire, asked in by_wire.items():
            replies = await wire.pipeline([("HGETALL", order_book_key(b)) for b in asked])
            for bucket, fields in zip(asked, replies, strict=True):
                self._take(bucket, _pairs(fields))
        return [followed for bucket in buckets for followed in self._books[bucket].values()]

    def _take(self, bucket: int, found: Mapping[bytes, bytes]) -> None:
        known, others = self._books[bucket], self._others[bucket]
        followed: dict[bytes, FollowedOrder] = {}
        passed: dict[bytes, bytes] = {}
        for name, raw in found.items():
            before = known.get(name)
            if before is not None and before.raw == raw:
                followed[name] = before
            elif name == _KEPT or others.get(name) == raw:
                passed[name] = raw
            else:
                order = order_in(raw)
                if order is None or order.dropoff is None:
                    passed[name] = raw
                elif before is None:
                    followed[name] = FollowedOrder(raw, order)
                else:
                    before.change(raw, order)
                    followed[name] = before
        self._books[bucket], self._others[bucket] = followed, passed


def _pairs(fields: Reply) -> dict[bytes, bytes]:
    return dict(zip(fields[::2], fields[1::2], strict=True))
