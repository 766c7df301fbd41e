"""The child that makes the tiles of one map: `python -m deploy.streets.making FILE FOLDER`.

A process of its own: what it uses is other people's C++ that reads other people's files. Whatever
becomes of it (out of memory, a full disk under a mapped file), its parent says it in one line, and
the maps that are there stay. It speaks on standard output, a JSON object a line: `StreetReport`s.
"""

import contextlib
import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import shapely

from common.errors import EXIT_CONFIG, ConfigError
from common.processes import process
from deploy.stack.streets import FILE_MODE, FOLDER_MODE
from deploy.streets.cut import Cutter
from deploy.streets.extract import Found, read
from deploy.streets.kinds import COAST, SEA, ZOOM_MAX, Drawing
from deploy.streets.mercator import degrees
from deploy.streets.report import MADE, READING, TILES, WRITING, MadeTiles, StreetReport
from deploy.streets.sea import Extent, sea
from deploy.streets.spill import Spill, Tile
from deploy.streets.tile import encode

# Things that are cut together: enough for numpy to be quick, some tens of megabytes.
BATCH: Final = 5_000
NICE: Final = 10
# How often progress is said: in things read, and in tiles written.
THINGS_A_REPORT: Final = 20_000
TILES_A_REPORT: Final = 50


def main(arguments: list[str]) -> int:
    """Make the tiles of `FILE` below `FOLDER/tiles`; the exit status."""
    process.die_with_parent()
    # Beside the roles on the same machine a build must not be what they wait for.
    os.nice(NICE)
    file, folder = Path(arguments[0]), Path(arguments[1])
    try:
        _say(StreetReport(MADE, made=make(file, folder)))
    except ConfigError as e:
        print(e, file=sys.stderr)
        return EXIT_CONFIG
    except OSError as e:
        print(f"cannot write {e.filename or folder}: {e.strerror}", file=sys.stderr)
        return 1
    return 0


def make(file: Path, folder: Path) -> MadeTiles:
    """Read, cut, write. Raises `ConfigError`: the file; `OSError`: the disk."""
    cutter = Cutter()
    coast: list[str] = []
    with Spill(folder) as spill:
        things = without_coast(_counted(read(file, folder)), coast)
        extent = cut_into(spill, cutter, things)
        if coast and np.isfinite(extent).all():
            areas = sea(list(shapely.from_wkb(coast)), extent)
            cut_into(spill, cutter, ((shapely.to_wkb(area, hex=True), [SEA]) for area in areas))
        # The places of nodes are not needed any more, and may be the largest file of all.
        with contextlib.suppress(FileNotFoundError):
            (folder / "nodes").unlink()
        return _write(spill, folder / TILES, cutter.left_out)


def unfolded(batch: list[Found]) -> tuple[Any, list[Drawing]]:
    """A geometry for each drawing."""
    drawings = [drawing for _, drawings in batch for drawing in drawings]
    wkbs = [wkb for wkb, drawings in batch for _ in drawings]
    return shapely.from_wkb(wkbs), drawings


def without_coast(things: Iterator[Found], coast: list[str]) -> Iterator[Found]:
    """All but the coastlines, which go to `coast`: nothing is known of them before the last."""
    for thing in things:
        if thing[1] == [COAST]:
            coast.append(thing[0])
        else:
            yield thing


def cut_into(spill: Spill, cutter: Cutter, things: Iterator[Found]) -> Extent:
    """Cut things into the buckets; west, south, east and north of all, not finite for none."""
    edges = np.full(4, np.nan)
    for batch in batched(things, BATCH):
        geometries, drawings = unfolded(batch)
        for piece in cutter.pieces(geometries, drawings):
            spill.add(piece)
        bounds = shapely.total_bounds(geometries)
        edges[:2], edges[2:] = np.fmin(edges, bounds)[:2], np.fmax(edges, bounds)[2:]
    west, south, east, north = (float(edge) for edge in edges)
    return west, south, east, north


def batched(things: Iterator[Found], size: int) -> Iterator[list[Found]]:
    """Lists of up to `size`."""
    while batch := list(itertools.islice(things, size)):
        yield batch


def _counted(things: Iterable[Found]) -> Iterator[Found]:
    for number, thing in enumerate(things):
        if number % THINGS_A_REPORT == 0:
            _say(StreetReport(READING, number))
        yield thing


def _write(spill: Spill, folder: Path, left_out: Counter[str]) -> MadeTiles:
    folder.mkdir()
    folder.chmod(FOLDER_MODE)
    bounds = TileBounds()
    tiles = size_bytes = 0
    for tile, pieces in spill.tiles():
        body, lost = encode(tile[0], pieces)
        left_out["in a crowded tile"] += lost
        if not body:
            continue
        write_tile(folder, tile, body)
        bounds.take(tile)
        tiles += 1
        size_bytes += len(body)
        if tiles % TILES_A_REPORT == 0:
            _say(StreetReport(WRITING, tiles))
    if tiles == 0:
        raise ConfigError("there is nothing in the extract that a map shows")
    west, south, east, north = bounds.degrees()
    return MadeTiles(tiles, size_bytes, west, south, east, north, dict(+left_out))


def write_tile(folder: Path, tile: Tile, body: bytes) -> None:
    """`zoom/column/row` below `folder`, for all to read."""
    zoom, column, row = tile
    parent = folder / str(zoom) / str(column)
    for path in (parent.parent, parent):
        if not path.exists():
            path.mkdir()
            path.chmod(FOLDER_MODE)
    with (parent / str(row)).open("xb") as file:
        file.write(body)
        os.fchmod(file.fileno(), FILE_MODE)


class TileBounds:
    """What the tiles of the last zoom cover: everything drawn is in one of them."""

    def __init__(self) -> None:
        self.columns: list[int] = []
        self.rows: list[int] = []

    def take(self, tile: Tile) -> None:
        """Widen them by a tile."""
        zoom, column, row = tile
        if zoom == ZOOM_MAX:
            self.columns = [min([column, *self.columns]), max([column, *self.columns])]
            self.rows = [min([row, *self.rows]), max([row, *self.rows])]

    def degrees(self) -> tuple[float, float, float, float]:
        """West, south, east, north."""
        side = 2.0**-ZOOM_MAX
        west, north = degrees(self.columns[0] * side, self.rows[0] * side)
        east, south = degrees((self.columns[1] + 1) * side, (self.rows[1] + 1) * side)
        return west, south, east, north


def _say(report: StreetReport) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
