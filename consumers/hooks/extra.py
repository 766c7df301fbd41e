"""Whether this install can send webhooks: the HTTP client needs the extra `webhooks`."""

from importlib.util import find_spec

from common.errors import ConfigError

MISSING = "the package aiohttp is not installed (pip install 'fleetline[webhooks]')"


def available() -> bool:
    """Whether the package is there. Does not import it."""
    return find_spec("aiohttp") is not None


def require() -> None:
    """Raise `ConfigError` where it is not."""
    if not available():
        raise ConfigError(f"webhooks: {MISSING}")
