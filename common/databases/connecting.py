"""The one way to a database: straight, or through a pooler, with the right one at the other end.

`connect` is told what a connection is for (`ConnectionTerms`). It gives one that works, or refuses
in one line: a pooler in transaction mode where a session is needed, a database with Citus, one that
holds other drivers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import asyncpg

from common.databases.pooling import Connection, PooledConnection, Pooling, mode_of
from common.databases.seat import Seat, read_seat, require_seat
from common.errors import ConfigError

# What a pooler says to settings of a session that stand in the first message.
_UNSUPPORTED = "unsupported startup parameter"
# The last: a database of an older release has no such table, and is the only one.
_FACTS = """
SELECT
    pg_backend_pid() AS pid,
    EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') AS has_citus,
    current_setting('synchronous_commit') AS commits,
    to_regclass('fleetline_database') IS NOT NULL AS has_seat
"""
NEEDS_SESSION = (
    "DATABASE_URL: a pooler in transaction mode answers, and {who} needs sessions: name the "
    "server itself there, or a pool in session mode"
)
NO_CITUS = (
    "DATABASE_URL: this database has Citus, which answers a fix that comes twice as an internal "
    "error, so that history would stop for ever; use independent servers (DATABASE_URLS)"
)
WEAK_COMMITS = (
    "DATABASE_URL: synchronous_commit is off, so a crash of the database would lose what was "
    "acknowledged; set it to on"
)
# A host that is lost says no good-bye. Its transaction keeps what it wrote from everybody, in the
# middle of a COPY too, where no limit of the server's for statements holds; its session keeps what
# it has locked. So the server is to ask whether somebody is there: by default it does after two
# hours, and with these for a quarter of a minute. A pooler has settings of its own for it.
_KEPT_ALIVE = """
SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 3; SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 15000
"""
_POOLED = {"connection_class": PooledConnection, "statement_cache_size": 0}
# URLs that a pooler was found behind, and its mode. A look takes two connections at once, which a
# pool that is nearly used up has not for each of ours.
_poolers: dict[str, Pooling] = {}


@dataclass(frozen=True, slots=True)
class ConnectionTerms:
    """What a connection is for. `session`: settings that hold for all of it, where there is one.

    `needs_session` names who needs one; empty: works without. `command_s`: most for a statement.
    `durable`: commits must be on disk when they are answered.
    """

    application: str
    connect_s: float
    command_s: float | None = None
    session: Mapping[str, str] = field(default_factory=dict)
    seat: Seat | None = None
    needs_session: str = ""
    durable: bool = False


async def connect(url: str, terms: ConnectionTerms) -> Connection:
    """Connect. Raises `ConfigError`, and what asyncpg raises where the server is away."""
    connection = None if url in _poolers else await _straight(url, terms)
    try:
        facts = None if connection is None else await _facts(connection)
        if connection is None or facts is None or facts["pid"] != connection.get_server_pid():
            if connection is not None:
                connection.terminate()
            connection = await _through_pooler(url, terms)
            facts = await _facts(connection)
        else:
            await connection.execute(_KEPT_ALIVE)
        if facts["has_citus"]:
            raise ConfigError(NO_CITUS)
        if terms.durable and facts["commits"] == "off":
            raise ConfigError(WEAK_COMMITS)
        if terms.seat is not None and facts["has_seat"]:
            require_seat(terms.seat, await read_seat(connection))
    except BaseException:
        if connection is not None:
            connection.terminate()
        raise
    return connection


async def create_pool(
    url: str, terms: ConnectionTerms, *, connections_max: int, connections_min: int = 0
) -> Any:
    """A pool of such connections. Raises as `connect`, where it begins with some."""

    async def connect_for_pool(*_arguments: Any, **_options: Any) -> Any:
        return await connect(url, terms)

    return await asyncpg.create_pool(
        url, min_size=connections_min, max_size=connections_max, connect=connect_for_pool
    )


def is_pooled(connection: Connection) -> bool:
    """Whether its backend may change between transactions."""
    # asyncpg answers `isinstance` for all of its connections alike.
    return PooledConnection in type(connection).__mro__


async def _straight(url: str, terms: ConnectionTerms) -> Connection | None:
    """A connection as if straight to the server; None where a pooler refuses that."""
    try:
        return await _connect(url, terms, terms.session)
    except asyncpg.ProtocolViolationError as e:
        if _UNSUPPORTED not in str(e):
            raise
    return None


async def _through_pooler(url: str, terms: ConnectionTerms) -> Connection:
    if url not in _poolers:
        _poolers[url] = await _look(url, terms)
    if _poolers[url] is Pooling.TRANSACTION:
        if terms.needs_session:
            raise ConfigError(NEEDS_SESSION.format(who=terms.needs_session))
        return await _connect(url, terms, {}, **_POOLED)
    connection = await _connect(url, terms, {})
    try:
        for name, value in terms.session.items():
            await connection.execute(f"SET {name} TO '{value}'")
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _look(url: str, terms: ConnectionTerms) -> Pooling:
    async def another() -> Connection:
        return await _connect(url, terms, {}, **_POOLED)

    connection = await another()
    try:
        return await mode_of(connection, another)
    finally:
        connection.terminate()


async def _facts(connection: Connection) -> asyncpg.Record:
    """In one transaction and under no name, because it is not known yet what is there."""
    async with connection.transaction():
        statement = await connection.prepare(_FACTS, name="")
        return cast("asyncpg.Record", await statement.fetchrow())


async def _connect(
    url: str, terms: ConnectionTerms, session: Mapping[str, str], **options: Any
) -> Connection:
    return await asyncpg.connect(
        url,
        timeout=terms.connect_s,
        command_timeout=terms.command_s,
        server_settings={"application_name": terms.application, **session},
        **options,
    )
