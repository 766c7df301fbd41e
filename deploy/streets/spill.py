"""Pieces of tiles on their way from the order of the extract to that of the tiles, on disk.

Pieces of one tile come from everywhere in a file. They are thrown into buckets by their tile; each
bucket is then small enough to be taken into memory as a whole.
"""

import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec

from deploy.streets.cut import Piece
from deploy.streets.kinds import Drawing

# A country whose extract has 4 GB makes about 20 GB of pieces: 80 MB a bucket.
BUCKETS: Final = 256
# What waits in memory before it is written: 8 MB for all buckets.
BUFFER_BYTES: Final = 32 * 1024

Tile = tuple[int, int, int]
_LENGTH = struct.Struct("<I")


class Spill:
    """The buckets. First pieces go in, then tiles come out, once."""

    def __init__(self, folder: Path) -> None:
        self._stack = ExitStack()
        self._files: list[BinaryIO] = []
        self._paths = [folder / f"bucket-{number}" for number in range(BUCKETS)]
        self._pack = msgspec.msgpack.Encoder().encode
        self._unpack = msgspec.msgpack.Decoder(Piece).decode

    def __enter__(self) -> Self:
        for path in self._paths:
            file = self._stack.enter_context(path.open("w+b", buffering=BUFFER_BYTES))
            self._files.append(file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._stack.close()
        finally:
            for path in self._paths:
                path.unlink(missing_ok=True)

    def add(self, piece: Piece) -> None:
        """Take a piece."""
        packed = self._pack(piece)
        # A block of neighbouring tiles would make a full and an empty bucket: mix the numbers.
        bucket = hash((piece.zoom, piece.column, piece.row)) % BUCKETS
        self._files[bucket].write(_LENGTH.pack(len(packed)) + packed)

    def tiles(self) -> Iterator[tuple[Tile, list[tuple[Drawing, bytes]]]]:
        """Each tile with all that is in it, in the order in which it was added."""
        for file in self._files:
            file.seek(0)
            tiles: dict[Tile, list[tuple[Drawing, bytes]]] = defaultdict(list)
            while head := file.read(_LENGTH.size):
                (length,) = _LENGTH.unpack(head)
                piece = self._unpack(file.read(length))
                tile = (piece.zoom, piece.column, piece.row)
                tiles[tile].append((piece.drawing, piece.wkb))
            # Its place on the disk is needed for the tiles.
            file.truncate(0)
            yield from tiles.items()
