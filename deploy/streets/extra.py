"""Whether this install can build streets: it needs the extra `roads`."""

from importlib.util import find_spec

from common.errors import ConfigError

PACKAGES = ("mapbox_vector_tile", "numpy", "osmium", "shapely")
MISSING = "the packages that read maps are not installed (pip install 'fleetline[roads]')"


def require() -> None:
    """Raise `ConfigError` where the packages are not there. Imports none of them."""
    if any(find_spec(name) is None for name in PACKAGES):
        raise ConfigError(f"streets: {MISSING}")
