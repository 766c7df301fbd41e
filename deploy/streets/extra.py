"""Whether this install can build streets: it needs the extra `roads`."""

from importlib.util import find_spec

from common.errors import ConfigError

PACKAGES = ("mapbox_vector_tile", "numpy", "osmium", "shapely")
MISSING = "the packages that read maps are not installed (pip install 'fleetline[roads]')"


def available() -> bool:
    """Whether the packages are there. Imports none of them."""
    return all(find_spec(name) is not None for name in PACKAGES)


def require() -> None:
    """Raise `ConfigError` where they are not."""
    if not available():
        raise ConfigError(f"streets: {MISSING}")
