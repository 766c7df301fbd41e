"""Places on the map as a square of side 1, and pieces of it as tiles hold them. Pure.

Web Mercator as in https://epsg.io/3857, scaled: x grows east from -180°, y south from 85.05°.
A line that crosses the antimeridian runs on beyond 1; the tile that it comes to is the one of the
other side.
"""

from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray

# Where the square ends.
LATITUDE_MAX: Final = 85.05112878
# Units along the side of a tile, as usual with vector tiles.
EXTENT: Final = 4096
# Tiles have this much of their neighbours, so that lines are as wide at their edges as elsewhere.
MARGIN: Final = 64

Geometries = NDArray[Any]


def project(geometries: Geometries) -> Geometries:
    """Degrees to the square. What jumps across half the world crosses the antimeridian."""
    places, owners = shapely.get_coordinates(geometries, return_index=True)
    x = places[:, 0] / 360 + 0.5
    sine = np.sin(np.radians(np.clip(places[:, 1], -LATITUDE_MAX, LATITUDE_MAX)))
    y = 0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)
    jumps = (np.abs(np.diff(x)) > 0.5) & (owners[1:] == owners[:-1])
    crossing = np.isin(owners, owners[1:][jumps])
    x = np.where(crossing & (x < 0.5), x + 1, x)
    projected: Geometries = shapely.set_coordinates(geometries, np.column_stack((x, y)))
    return projected


def degrees(x: float, y: float) -> tuple[float, float]:
    """Longitude and latitude of a place on the square."""
    latitude = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y))))
    return x * 360 - 180, float(latitude)


def to_units(pieces: Geometries, columns: NDArray[Any], rows: NDArray[Any]) -> Geometries:
    """Pieces of a zoom, in tiles, to whole units within the tile that each is for."""
    places, owners = shapely.get_coordinates(pieces, return_index=True)
    corners = np.column_stack((columns, rows))[owners]
    units: Geometries = shapely.set_coordinates(pieces, np.rint((places - corners) * EXTENT))
    return units
