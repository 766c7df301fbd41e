"""What the keeper asks and tells the books as a whole, bucket by bucket.

Methods raise as those of `OrderBook`.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from common.event import EPOCH, MICROSECOND
from common.keys import BOOK_KEPT, ORDER_BUCKETS, order_book_key, order_bucket, order_due_key
from common.orders.book import OrderBook
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire

EVERY = range(ORDER_BUCKETS)
# A time as `OrderBook` writes it, no later than a database can store.
_MICROSECONDS = re.compile(rb"[0-9]{1,16}")
# How an order's JSON begins; what somebody made by hand counts as older than all.
_VERSION = re.compile(rb'\{"version":([0-9]{1,18})[,}]')


class BookCheck:
    """Whether the books are complete, and what is in them."""

    def __init__(self, nodes: Nodes, book: OrderBook) -> None:
        self._nodes = nodes
        self._book = book

    async def due(self) -> dict[str, datetime]:
        """Orders that have ended in Redis since then, and perhaps not in the database."""
        due: dict[str, datetime] = {}
        for _, fields in await self._ask(EVERY, lambda b: ("HGETALL", order_due_key(b))):
            for name, value in zip(fields[::2], fields[1::2], strict=True):
                # What somebody made by hand is no end of an order.
                if _MICROSECONDS.fullmatch(value):
                    due[name.decode("utf-8", "replace")] = EPOCH + int(value) * MICROSECOND
        return due

    async def lost(self) -> list[int]:
        """Buckets whose book is not complete: Redis never had it, or lost it."""
        asked = await self._ask(EVERY, lambda b: ("HEXISTS", order_book_key(b), BOOK_KEPT))
        return [bucket for bucket, kept in asked if not kept]

    async def versions(self, bucket: int) -> dict[str, int]:
        """Order -> version, of all that a book has; 0 for what is no order."""
        fields = await self._nodes.bucket_wire(bucket).send("HGETALL", order_book_key(bucket))
        found = zip(fields[::2], fields[1::2], strict=True)
        return {
            name.decode("utf-8", "replace"): int(match[1])
            if (match := _VERSION.match(value))
            else 0
            for name, value in found
            if name != BOOK_KEPT.encode()
        }

    async def complete(self, buckets: Sequence[int]) -> None:
        """Say that these books have every active order of their buckets."""
        await self._ask(buckets, lambda b: ("HSET", order_book_key(b), BOOK_KEPT, "1"))
        await self._book.announce(("",))

    async def drop(self, order_ids: Iterable[str]) -> None:
        """Take orders out of their books that the database does not have."""
        names = list(order_ids)
        for name in names:
            book = order_book_key(order_bucket(name))
            await self._nodes.order_wire(name).send("HDEL", book, name)
        await self._book.announce(names)

    async def _ask(
        self, buckets: Sequence[int], command: Callable[[int], Command]
    ) -> list[tuple[int, Reply]]:
        """The reply of each bucket; in a cluster without those whose server is away."""
        by_wire: dict[Wire, list[int]] = {}
        for bucket in buckets:
            by_wire.setdefault(self._nodes.bucket_wire(bucket), []).append(bucket)
        answers: list[tuple[int, Reply]] = []
        for wire, asked in by_wire.items():
            if self._nodes.is_cluster and not wire.up:
                continue
            replies = await wire.pipeline([command(bucket) for bucket in asked])
            answers += zip(asked, replies, strict=True)
        return answers
