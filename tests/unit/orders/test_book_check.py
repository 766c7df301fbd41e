"""What somebody made by hand in the books of orders ends no keeper."""

import asyncio
from datetime import timedelta
from typing import Any

from common.event import EPOCH
from common.orders.book_check import BookCheck


class Books:
    """A server whose every bucket holds the same fields."""

    is_cluster = False

    def __init__(self, *fields: bytes) -> None:
        self._fields = list(fields)

    def bucket_wire(self, _bucket: int) -> "Books":
        return self

    async def send(self, *_command: Any) -> Any:
        return self._fields

    async def pipeline(self, commands: list[Any]) -> list[Any]:
        return [self._fields] * len(commands)


def check(*fields: bytes) -> BookCheck:
    nodes: Any = Books(*fields)
    book: Any = None
    return BookCheck(nodes, book)


def test_what_is_no_time_is_no_end_of_an_order() -> None:
    """The keeper ended with a traceback, and the worker of ingest with it, again and again."""
    odd = (b"late", b"soon", b"far", b"9" * 40, b"\xff", b"-1")
    assert asyncio.run(check(*odd, b"o1", b"1000000").due()) == {"o1": EPOCH + timedelta(seconds=1)}


def test_a_name_that_is_no_text_is_an_order_that_there_is_not() -> None:
    assert asyncio.run(check(b"\xff", b"{}").versions(0)) == {"\ufffd": 0}
