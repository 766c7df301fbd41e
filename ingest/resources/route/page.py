"""What all formats of a route share: the columns of a fix, the facts of a page, and JSON. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from common import event

# All columns of a fix but the driver's, who is the route's.
COLUMNS = event.COLUMNS[1:]

# A row as asyncpg gives it: values by column name.
Row = Any


@dataclass(frozen=True, slots=True)
class PageFacts:
    """The facts of one page of a driver's route: fixes with start ≤ recorded_at < end."""

    driver_id: str
    start: datetime
    end: datetime
    count: int
    # Names the place to go on from; None on the last page.
    next_cursor: str | None

    def facts(self) -> dict[str, object]:
        """As they stand in JSON."""
        return {
            "driver_id": self.driver_id,
            "start_time": self.start,
            "end_time": self.end,
            "count": self.count,
            "next_cursor": self.next_cursor,
        }


class RouteWriter(Protocol):
    """One page in one format: rows in pieces, oldest first, then the whole as bytes."""

    def add(self, rows: Sequence[Row]) -> None:
        """Format the next rows."""

    def finish(self, page: PageFacts) -> bytes:
        """The body of the answer; nothing can be added any more."""


def dump(value: object) -> bytes:
    """JSON; times end in Z."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def dump_items(values: Sequence[object]) -> bytes:
    """The items of a JSON list without its brackets, to be joined with others."""
    return dump(values)[1:-1]


def join_items(pieces: Iterable[bytes]) -> bytes:
    """A JSON list out of pieces that `dump_items` made."""
    return b"[%b]" % b",".join(piece for piece in pieces if piece)


def time_texts(times: Sequence[datetime]) -> list[str]:
    """RFC 3339 in UTC, as in JSON; all at once, which is several times faster than one by one."""
    return dump(times)[2:-2].decode().split('","') if times else []
