"""Reads an extract: each thing that is drawn, with its geometry as WKB. The one user of osmium.

The file is read twice: first the relations, which say what ways make an area, then the rest.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import osmium

from common.errors import ConfigError
from deploy.streets.kinds import (
    NODE_KEYS,
    WAY_KEYS,
    Drawing,
    area_drawings,
    node_drawings,
    way_drawings,
)

# Places of nodes stay in memory for files up to this: about 130 MB of them. For larger ones they
# are 16 bytes each in a file of the folder where the map is built.
IN_MEMORY_FILE_BYTES: Final = 64 * 1024 * 1024
# Areas that are drawn; not those of states, which are the largest of a file.
_AREA_KEYS: Final = tuple(key for key in WAY_KEYS if key not in {"route", "boundary"})

# Geometry as WKB in hexadecimal digits, in degrees, and what it is drawn as.
Found = tuple[str, list[Drawing]]


def read(file: Path, folder: Path) -> Iterator[Found]:
    """Everything of the file that is drawn. Raises `ConfigError`: it is no extract, or broken."""
    large = file.stat().st_size > IN_MEMORY_FILE_BYTES
    storage = f"sparse_file_array,{folder / 'nodes'}" if large else "flex_mem"
    try:
        processor = (
            osmium.FileProcessor(osmium.io.File(str(file), _format(file)))
            .with_locations(storage)
            .with_areas(osmium.filter.KeyFilter(*_AREA_KEYS))
            .with_filter(_only(NODE_KEYS, osmium.osm.NODE))
            .with_filter(_only(WAY_KEYS, osmium.osm.WAY | osmium.osm.AREA))
        )
        yield from _found(processor)
    except (RuntimeError, ValueError) as e:
        raise ConfigError(f"{file}: cannot be read as an OpenStreetMap extract: {e}") from e


def _format(file: Path) -> str:
    """As the library names it: what has no other ending is taken for the usual form."""
    for ending in ("osm.bz2", "osm.gz", "osm"):
        if file.name.endswith(f".{ending}"):
            return ending
    return "pbf"


def _only(keys: tuple[str, ...], kinds: Any) -> Any:
    """Of things of these kinds those with one of the keys."""
    wanted = osmium.filter.KeyFilter(*keys)
    wanted.enable_for(kinds)
    return wanted


def _found(processor: Any) -> Iterator[Found]:
    factory: Any = osmium.geom.WKBFactory()
    for thing in processor:
        if thing.is_node():
            drawings, make = node_drawings(thing.tags), factory.create_point
        elif thing.is_way():
            drawings, make = way_drawings(thing.tags), factory.create_linestring
        elif thing.is_area():
            drawings, make = area_drawings(thing.tags), factory.create_multipolygon
        else:
            continue
        if drawings:
            try:
                yield make(thing), drawings
            except (RuntimeError, osmium.InvalidLocationError):
                # A way that leaves the extract has nodes without a place, or a single one.
                if thing.is_way():
                    for line in _lines_within(thing):
                        yield line, drawings


def _lines_within(way: Any) -> Iterator[str]:
    """The parts of a way whose nodes are in the extract."""
    from shapely import LineString, to_wkb

    run: list[tuple[float, float]] = []
    for node in [*way.nodes, None]:
        if node is not None and node.location.valid():
            run.append((node.location.lon, node.location.lat))
            continue
        if len(run) > 1:
            yield to_wkb(LineString(run), hex=True)
        run = []
