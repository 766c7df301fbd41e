"""Origins: what a browser says of the page that asks. Pure."""

_SCHEMES = {"http", "https"}


def is_same_host(origin: str, host: str) -> bool:
    """Whether the header Origin names the host and port of the header Host."""
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in _SCHEMES and rest.lower() == host.lower() != ""
