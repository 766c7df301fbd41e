"""The active orders in Redis: what live tracking needs of them, without the database.

A book is a hash of the orders of one bucket. It follows the database: what is written has a
version, and an older one never replaces a newer one, so it does not matter who writes how often.
Live workers learn of a change from a stream of ids that every write adds to.

Methods raise `Overloaded` when Redis does not answer, and `hiredis.ReplyError` when it refuses.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import NamedTuple

from common.contract import ORDER_ENDED_TTL_S
from common.event import EPOCH, MALFORMED, MICROSECOND
from common.frame import DRIVER_PREFIX, ended_frame, order_message
from common.keys import (
    BOOK_KEPT,
    ORDER_CHANGES,
    order_arrival_key,
    order_book_key,
    order_bucket,
    order_due_key,
    order_ended_key,
    order_key,
)
from common.orders.order import Order, decode_order, encode_order
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire, without_errors

# Entries of the stream of changes. A worker that missed more forgets all it knows, and asks again.
CHANGES_MAX = 10_000
# Active orders of a bucket: 64 of these are 640,000 orders, some 400 MB of Redis.
BOOK_ORDERS_MAX = 10_000
# Ends of a bucket that wait for the database; what is beyond is ended in Redis alone.
DUE_MAX = 10_000

_BOOK = files(__package__).joinpath("book.lua").read_text()
_END = files(__package__).joinpath("end.lua").read_text()


class Kept(NamedTuple):
    """What Redis has of an order: the order if it is active, whether it ended, its position, and
    its arrival, the frame that customers got.
    """

    order: Order | None
    ended: bool
    event: bytes | None
    # Whether there is no room for another order.
    full: bool
    arrival: bytes | None = None


class OrderBook:
    """Writes and reads the books."""

    def __init__(self, nodes: Nodes, *, position_ttl_s: int) -> None:
        self._nodes = nodes
        self._position_ttl_s = position_ttl_s

    def reaches(self, order_id: str) -> bool:
        """Whether the order's server is there; of one server it is found out by asking."""
        return not self._nodes.is_cluster or self._nodes.order_wire(order_id).up

    async def read(self, order_id: str) -> Kept:
        """What Redis has of an order."""
        book = order_book_key(order_bucket(order_id))
        replies = await self._nodes.order_wire(order_id).pipeline(
            [
                ("HGET", book, order_id),
                (
                    "MGET",
                    *(order_ended_key(order_id), order_key(order_id), order_arrival_key(order_id)),
                ),
                ("HLEN", book),
            ]
        )
        value, (ended, event, arrival), count = replies
        full = count > BOOK_ORDERS_MAX
        return Kept(order_in(value), ended is not None, event, full, arrival)

    async def write(
        self,
        orders: Sequence[Order],
        positions: Mapping[str, bytes] | None = None,
        *,
        announced: bool = True,
    ) -> None:
        """Make Redis have these orders: the active in their books, the others ended.

        `positions`: order -> an event to begin with, of its driver, where there is one.
        `announced`: whether live workers are told of each.
        """
        known = positions or {}
        by_wire: dict[Wire, list[Command]] = {}
        for order in orders:
            wire = self._nodes.order_wire(order.order_id)
            command = self._command(order, known.get(order.order_id, b""))
            by_wire.setdefault(wire, []).append(command)
        replies: list[Reply] = []
        for wire, commands in by_wire.items():
            replies += await wire.pipeline_raw(commands)
        if announced:
            await self.announce(order.order_id for order in orders)
        # One that Redis refused holds up no others.
        without_errors(replies)

    def _command(self, order: Order, position: bytes) -> Command:
        over = order.times.over
        if over is not None:
            age_s = (datetime.now(UTC) - over).total_seconds()
            ttl_s = max(1, ORDER_ENDED_TTL_S - round(age_s))
            return end_command(order.order_id, self._nodes.publish, ttl_s=ttl_s)
        order_id, driver = order.order_id, order.driver_id
        book, event = order_book_key(order_bucket(order_id)), order_key(order_id)
        return (
            *("EVAL", _BOOK, 3, book, event, order_ended_key(order_id)),
            *(order_id, encode_order(order), order.version),
            DRIVER_PREFIX + driver.encode() + b'"' if driver else b"",
            order_message(order_id, driver),
            *(position, self._position_ttl_s, self._nodes.publish),
        )

    async def announce(self, order_ids: Iterable[str]) -> None:
        """Tell the live workers to look at these orders again."""
        adding = ("XADD", ORDER_CHANGES, "MAXLEN", "~", CHANGES_MAX, "*", "o")
        commands: list[Command] = [(*adding, order_id) for order_id in order_ids]
        if commands:
            await self._nodes.key_wire(ORDER_CHANGES).pipeline(commands)

    async def end(self, order_id: str, at: datetime) -> bool:
        """End the order now, all or nothing; whether it may be a registered one.

        That is due in the database then, until `settled`.
        """
        due_us = str((at - EPOCH) // MICROSECOND)
        command = end_command(order_id, self._nodes.publish, ttl_s=ORDER_ENDED_TTL_S, due_us=due_us)
        [known] = await self._nodes.order_wire(order_id).pipeline([command])
        if known:
            await self.announce((order_id,))
        return bool(known)

    async def settled(self, order_id: str) -> None:
        """The database knows of the end."""
        due = order_due_key(order_bucket(order_id))
        await self._nodes.order_wire(order_id).send("HDEL", due, order_id)


def end_command(order_id: str, publish: str, *, ttl_s: int, due_us: str = "") -> Command:
    """What ends an order in Redis. `publish`: the command that tells who watches. `due_us`: since
    when, for a database that does not know yet.
    """
    bucket = order_bucket(order_id)
    keys = (
        *(order_ended_key(order_id), order_key(order_id)),
        *(order_book_key(bucket), order_due_key(bucket)),
    )
    frame = ended_frame(order_id)
    terms = (order_id, ttl_s, frame, due_us, DUE_MAX, BOOK_KEPT, publish)
    return ("EVAL", _END, len(keys), *keys, *terms)


def order_in(value: bytes | None) -> Order | None:
    """The order in a field of a book; None where there is none, or something made by hand."""
    if value is None:
        return None
    try:
        return decode_order(value)
    except MALFORMED:
        return None
