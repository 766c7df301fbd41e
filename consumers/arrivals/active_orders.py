"""The active orders that have a drop-off, as their books in Redis have them.

A look reads some books as a whole, which costs next to nothing: what has not changed is known by
its bytes. So nothing that was announced can be missed, and no database is needed.
"""

from collections.abc import Mapping, Sequence

from common.keys import BOOK_KEPT, ORDER_BUCKETS, order_book_key
from common.orders.book import order_in
from common.redis.cluster.each_server import ask_each
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire
from consumers.arrivals.followed import FollowedOrder

_KEPT = BOOK_KEPT.encode()


class ActiveOrders:
    """Raises `Overloaded`, `hiredis.ReplyError`; what was known stays known then.

    Of a cluster a server may be away: its books are passed over until it is back.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        # Buckets whose server did not answer when they were looked at last.
        self._away: set[int] = set()
        # By bucket and id: the orders that are followed, and the bytes of those that are not.
        self._books: list[dict[bytes, FollowedOrder]] = [{} for _ in range(ORDER_BUCKETS)]
        self._others: list[dict[bytes, bytes]] = [{} for _ in range(ORDER_BUCKETS)]

    def __len__(self) -> int:
        return sum(map(len, self._books))

    async def look(self, buckets: Sequence[int]) -> list[FollowedOrder]:
        """The orders of these buckets as they are now, without those whose server is away."""
        by_wire: dict[Wire, list[int]] = {}
        for bucket in buckets:
            by_wire.setdefault(self._nodes.bucket_wire(bucket), []).append(bucket)
        asked: dict[Wire, list[Command]] = {
            wire: [("HGETALL", order_book_key(b)) for b in part] for wire, part in by_wire.items()
        }
        self._away.update(buckets)
        for wire, replies in (await ask_each(self._nodes, asked)).items():
            for bucket, fields in zip(by_wire[wire], replies, strict=True):
                self._take(bucket, _pairs(fields))
                self._away.discard(bucket)
        there = (bucket for bucket in buckets if bucket not in self._away)
        return [followed for bucket in there for followed in self._books[bucket].values()]

    @property
    def away(self) -> int:
        """Orders that are not followed now, since the server of their book is away."""
        return sum(len(self._books[bucket]) for bucket in self._away)

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
