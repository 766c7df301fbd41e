"""Whether a PostgreSQL URL can be read, found out before anybody connects with it. Pure.

The client that reads it later quotes what it took for a port or an option: with an unescaped `/`
or `?` in it, that is a part of the password.
"""

from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("postgresql://", "postgres://")
_UNREADABLE = "a host or port in it is none; in a password / ? # @ must be percent-encoded"
_PORT_MAX = 65_535


def require_readable(name: str, url: str) -> None:
    """Raise `ValueError`, with `name` and nothing of the URL, where its parts cannot be told."""
    try:
        parts = urlsplit(url)
        hosts = parts.netloc.rpartition("@")[2]
        # No hosts at all: they stand in the query, in PGHOST, or it is this machine.
        readable = not hosts or all(_is_host(unquote(host)) for host in hosts.split(","))
        parse_qs(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        readable = False
    if not readable or parts.fragment:
        raise ValueError(f"{name}: {_UNREADABLE}")


def _is_host(text: str) -> bool:
    host, colon, port = text.rpartition(":")
    if text.endswith("]") or not colon:
        return bool(text) and not any(c.isspace() or c in ";@" for c in text)
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX
    return is_port and _is_host(host)
