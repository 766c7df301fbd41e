"""The streets of a graph that nobody has driven yet, read from OSRM's own files. Pure but for them.

Speeds are learned where the fleet drives. Were the streets between kept at the map's speeds, they
would look quick in every rush hour, and ways would lead through them. So they are given the hour's
own slowness; and for that they must be known by name.

OSRM's files are tar archives of plain arrays. Whole numbers that need few bits stand close to each
other, 64 of them in as many words as one has bits.
"""

import math
import tarfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from common.errors import FleetlineError
from common.geo.sphere import distance_m
from deploy.roads.learning.speeds import Segment

# Streets within a cell of this many degrees of a driven one are as slow as the hour: about 2 km.
CELL_DEGREES = 0.02
# OSRM keeps durations in tenths of seconds, and places in millionths of a degree.
_DURATION, _DEGREES = 10.0, 1e6
_BLOCK = 64


class UnknownFormat(FleetlineError):
    """The files are not as this release of OSRM writes them."""


def undriven(stem: Path, driven: Iterable[Segment]) -> dict[Segment, float]:
    """km/h, by the map, of the streets around the driven ones. Raises `UnknownFormat`."""
    try:
        return _undriven(stem, set(driven))
    except (OSError, KeyError, ValueError, IndexError, tarfile.TarError) as e:
        raise UnknownFormat(f"{stem.name}: {type(e).__name__}") from e


def _undriven(stem: Path, driven: set[Segment]) -> dict[Segment, float]:
    nodes = _Members(stem.with_name(f"{stem.name}.nbg_nodes"))
    names = nodes.packed("/common/nbn_data/osm_node_ids")
    places = nodes.plain("/common/nbn_data/coordinates", "i")
    where = {name: (places[2 * i + 1] / _DEGREES, places[2 * i] / _DEGREES)
             for i, name in enumerate(names)}  # fmt: skip
    ends = {name for segment in driven for name in segment}
    cells = {_cell(where[name]) for name in ends if name in where}
    found = {}
    for begin, end, seconds in _segments(stem, names):
        segment = begin, end
        if segment in driven or _cell(where[begin]) not in cells:
            continue
        metres = distance_m(*where[begin], *where[end])
        if metres > 0 and seconds > 0:
            found[segment] = 3.6 * metres / seconds
    return found


def _segments(stem: Path, names: list[int]) -> Iterator[tuple[int, int, float]]:
    """From node, to node, seconds, of every piece of street that may be driven that way."""
    data = _Members(stem.with_name(f"{stem.name}.geometry"))
    prefix = "/common/segment_data"
    index = data.plain(f"{prefix}/index", "I")
    nodes = data.plain(f"{prefix}/nodes", "I")
    forward = data.packed(f"{prefix}/forward_durations")
    reverse = data.packed(f"{prefix}/reverse_durations")
    # All bits set: closed in that direction.
    closed = (1 << data.bits) - 1
    for first, last in pairwise(index):
        for i in range(first + 1, last):
            a, b = names[nodes[i - 1]], names[nodes[i]]
            if forward[i] != closed:
                yield a, b, forward[i] / _DURATION
            if reverse[i - 1] != closed:
                yield b, a, reverse[i - 1] / _DURATION


class _Members:
    """The arrays in one of OSRM's files."""

    def __init__(self, file: Path) -> None:
        with tarfile.open(file) as archive:
            self._bytes = {
                member.name: content.read()
                for member in archive
                if (content := archive.extractfile(member)) is not None
            }
        # Of the packed numbers that were read last.
        self.bits = 0

    def plain(self, name: str, kind: str) -> "array[int]":
        """Numbers of four bytes each."""
        return array(kind, self._bytes[name])

    def packed(self, name: str) -> list[int]:
        """Numbers of few bits each."""
        content = self._bytes[f"{name}/packed"]
        count = int.from_bytes(self._bytes[f"{name}/number_of_elements.meta"], "little")
        blocks = -(-count // _BLOCK)
        if not blocks:
            return []
        self.bits = bits = len(content) // 8 // blocks
        mask, size = (1 << bits) - 1, 8 * bits
        found = []
        for block in range(blocks):
            number = int.from_bytes(content[block * size : (block + 1) * size], "little")
            for _ in range(_BLOCK):
                found.append(number & mask)
                number >>= bits
        return found[:count]


def _cell(place: tuple[float, float]) -> tuple[int, int]:
    return math.floor(place[0] / CELL_DEGREES), math.floor(place[1] / CELL_DEGREES)
