"""Where Redis is and how to greet it, read once from a URL.

Takes `redis://`, `rediss://` and `unix://` with user, password and database number.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from common.errors import ConfigError

BEGINNINGS = (
    "REDIS_URL must begin with redis://, rediss://, unix://, redis+sentinel:// or redis+cluster://"
)

P = TypeVar("P", bound=asyncio.BaseProtocol)

Argument = str | int | float | bytes | memoryview
Command = tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A Redis server: TCP (`host`, `port`) or a Unix socket (`path`)."""

    host: str
    port: int
    path: str
    user: str
    password: str = field(repr=False)
    db: int
    tls: bool
    ca_file: str

    def greeting(self) -> list[Command]:
        """Commands to send first on a new connection, in order; PING last proves it serves."""
        commands: list[Command] = []
        if self.password:
            user = (self.user,) if self.user else ()
            commands.append(("AUTH", *user, self.password))
        if self.db:
            commands.append(("SELECT", self.db))
        commands.append(("PING",))
        return commands

    def courtesies(self, client_name: str) -> list[Command]:
        """Commands that help the person who looks at Redis, and that a user may be denied."""
        return [("CLIENT", "SETNAME", client_name)]


def parse_redis_url(url: str) -> RedisUrl:
    """Read a URL. Raises `ConfigError`, which never repeats the URL: it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
    except ValueError:
        # Python quotes what it took for the port: with an unescaped / in it, half the password.
        raise ConfigError(
            "REDIS_URL: the host or port is none; in a password, / ? # @ must be percent-encoded"
        ) from None
    if not _is_name(parts.hostname or ""):
        raise ConfigError("REDIS_URL: the host is not a host's name")
    query = parse_qs(parts.query)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(BEGINNINGS)
    unix = parts.scheme == "unix"
    if unix and not parts.path:
        raise ConfigError("REDIS_URL: unix:// needs the path of a socket")
    number = query.get("db", [""])[0] or ("" if unix else parts.path.strip("/")) or "0"
    if not number.isdigit():
        raise ConfigError("REDIS_URL: the database must be a number")
    return RedisUrl(
        host="" if unix else parts.hostname or "127.0.0.1",
        port=0 if unix else port,
        path=unquote(parts.path) if unix else "",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        db=int(number),
        tls=parts.scheme == "rediss",
        ca_file=query.get("ssl_ca_certs", [""])[0],
    )


def _is_name(host: str) -> bool:
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return not any(c.isspace() for c in host)


async def open_connection(
    url: RedisUrl, protocol_factory: Callable[[], P]
) -> tuple[asyncio.BaseTransport, P]:
    """Open a raw connection; nothing has been sent on it yet. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    if url.path:
        return await loop.create_unix_connection(protocol_factory, url.path)
    context = None
    if url.tls:
        context = ssl.create_default_context(cafile=url.ca_file or None)
    return await loop.create_connection(protocol_factory, url.host, url.port, ssl=context)
