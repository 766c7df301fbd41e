"""Rows of fixes in PostgreSQL's binary COPY format. Pure.

All columns have a fixed size (see `sql/fixes.sql`), so a row is a struct: taking it apart costs a
tenth of what a driver's record costs.
"""

from collections.abc import Iterator
from struct import Struct

# Signature, flags, length of an extension (none).
HEADER_BYTES = 19
# Number of columns, then each with its length: place, microseconds since 2000, four numbers.
_ROW = Struct(">2x4xq4xq4xd4xd4xd4xd")
PG_EPOCH_US = 946_684_800_000_000

FixRow = tuple[int, int, float, float, float, float]


class Rows:
    """Chunks of the stream in, whole rows out."""

    def __init__(self) -> None:
        self._rest = b""
        self._skip = HEADER_BYTES

    def feed(self, chunk: bytes) -> Iterator[FixRow]:
        """Rows that are complete now; their times still count from 2000 (`PG_EPOCH_US`)."""
        data = self._rest + chunk if self._rest else chunk
        if self._skip:
            if len(data) < self._skip:
                self._rest = data
                return iter(())
            data = data[self._skip :]
            self._skip = 0
        # The trailer of two bytes stays over at the end.
        whole = len(data) - len(data) % _ROW.size
        self._rest = data[whole:]
        return _ROW.iter_unpack(data[:whole])
