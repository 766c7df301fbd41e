"""Great-circle distances by the haversine formula, on a sphere of the Earth's mean radius.

Against the WGS84 ellipsoid that is off by 0.5 % at most (0.2 % in Liverpool, 0.01 % in Beijing),
which is less than a phone's fixes are.
"""

from math import asin, cos, radians, sin, sqrt

# Mean radius R1 of the Earth (IUGG), in metres.
EARTH_RADIUS_M = 6_371_008.8
_DIAMETER_M = 2 * EARTH_RADIUS_M


def distance_m(latitude: float, longitude: float, latitude2: float, longitude2: float) -> float:
    """Metres between two places in degrees; right across 180° too."""
    phi, phi2 = radians(latitude), radians(latitude2)
    along = sin((phi2 - phi) * 0.5)
    across = sin((radians(longitude2) - radians(longitude)) * 0.5)
    return metres_of(along * along + cos(phi) * cos(phi2) * across * across)


def metres_of(haversine: float) -> float:
    """The distance whose haversine this is."""
    return _DIAMETER_M * asin(sqrt(min(1.0, haversine)))


def haversine_of(metres: float) -> float:
    """The haversine of a distance: comparing two of them spares a root and an arc sine."""
    half = sin(min(metres, EARTH_RADIUS_M * 3.0) / _DIAMETER_M)
    return half * half


def wrapped(longitude: float) -> float:
    """The longitude within -180…180 that names the same meridian."""
    return longitude - 360.0 * ((longitude + 180.0) // 360.0) if abs(longitude) > 180 else longitude
