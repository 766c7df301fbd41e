"""Whether this install can follow places: the geometry of fences needs the extra `places`."""

from importlib.util import find_spec

from common.errors import ConfigError

PACKAGES = ("numpy", "shapely")
MISSING = "the package shapely is not installed (pip install 'fleetline[places]')"


def available() -> bool:
    """Whether the packages are there. Does not import them."""
    return all(find_spec(name) is not None for name in PACKAGES)


def require() -> None:
    """Raise `ConfigError` where they are not."""
    if not available():
        raise ConfigError(f"places: {MISSING}")
