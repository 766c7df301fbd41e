"""Whether this install can follow places: the geometry of fences needs the extra `places`."""

from importlib.util import find_spec

PACKAGES = ("numpy", "shapely")
MISSING = "places are off: the package shapely is not installed (pip install 'fleetline[places]')"


def available() -> bool:
    """Whether the packages are there. Does not import them."""
    return all(find_spec(name) is not None for name in PACKAGES)
