"""The schema: numbered SQL files, each applied once, in order, one process at a time.

A database that is newer than this code is refused: old code would write rows the new schema
does not expect. So is one that acknowledges commits before they are on disk.
"""

import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from common.databases import connecting as databases
from common.errors import ConfigError, FleetlineError, words_of

SCHEMA = Path(__file__).parent
# Any number that nothing else in the database uses: "fleetl" as bytes.
ADVISORY_KEY = 0x666C6565746C
CONNECT_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 5.0
# A migration may have to build an index over the whole history.
STATEMENT_TIMEOUT_S = 600.0
_TERMS = databases.ConnectionTerms(
    "fleetline-migrate", CONNECT_TIMEOUT_S, STATEMENT_TIMEOUT_S, durable=True
)

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")

_TABLE = """
CREATE TABLE IF NOT EXISTS fleetline_schema (
    version integer PRIMARY KEY,
    name text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema."""

    version: int
    name: str
    sql: str

    def __str__(self) -> str:
        return f"{self.version:04}_{self.name}"


def read_migrations(folder: Path = SCHEMA) -> list[Migration]:
    """All files in order. Raises `ConfigError` for a gap or a name that is none."""
    found: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.match(path.name)
        if match is None or int(match[1]) != len(found) + 1:
            raise ConfigError(f"schema: {path.name} is not the file after {len(found):04}")
        found.append(Migration(int(match[1]), match[2], path.read_text()))
    return found


def outstanding(known: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """Which of `known` are still to be applied. Raises `ConfigError` when the two disagree."""
    newest = max(applied, default=0)
    if newest > len(known):
        raise ConfigError(
            f"DATABASE_URL: the schema of this database ({newest:04}) is newer than this "
            f"Fleetline ({len(known):04}): update Fleetline"
        )
    for migration in known:
        name = applied.get(migration.version, migration.name)
        if name != migration.name:
            raise ConfigError(
                f"DATABASE_URL: this database has {migration.version:04}_{name} "
                f"where this Fleetline has {migration}"
            )
    return [migration for migration in known if migration.version not in applied]


async def migrate(database_url: str, migrations: list[Migration] | None = None) -> list[str]:
    """Bring the database up to date; names of what was applied. Raises `ConfigError`."""
    known = read_migrations() if migrations is None else migrations
    connection = await connect(database_url)
    try:
        async with _alone(connection):
            await connection.execute(_TABLE)
            rows = await connection.fetch("SELECT version, name FROM fleetline_schema")
            todo = outstanding(known, {row["version"]: row["name"] for row in rows})
            for migration in todo:
                async with connection.transaction():
                    await connection.execute(migration.sql)
                    await connection.execute(
                        "INSERT INTO fleetline_schema (version, name) VALUES ($1, $2)",
                        migration.version,
                        migration.name,
                    )
        return [str(migration) for migration in todo]
    except asyncpg.InsufficientPrivilegeError as e:
        raise ConfigError(f"DATABASE_URL: {e}") from e
    finally:
        # In order while the server answers; it cuts the connection itself when that takes long.
        with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
            await connection.close(timeout=CLOSE_TIMEOUT_S)


async def connect(database_url: str) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection for the schema. Raises `ConfigError`, or `FleetlineError`: no answer."""
    try:
        return await databases.connect(database_url, _TERMS)
    except (
        asyncpg.InvalidAuthorizationSpecificationError,
        asyncpg.InvalidCatalogNameError,
        asyncpg.ClientConfigurationError,
        ValueError,
    ) as e:
        raise ConfigError(f"DATABASE_URL: {e}") from e
    except (OSError, TimeoutError, asyncpg.PostgresError) as e:
        raise FleetlineError(f"DATABASE_URL: the database does not answer: {words_of(e)}") from e


@contextlib.asynccontextmanager
async def _alone(connection: "asyncpg.Connection[asyncpg.Record]") -> AsyncIterator[None]:
    """While this process migrates, no other does. However it ends, the lock goes with it."""
    if databases.is_pooled(connection):
        # There a lock of the session would be somebody else's next.
        async with connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({ADVISORY_KEY})")
            yield
    else:
        await connection.execute("SELECT pg_advisory_lock($1)", ADVISORY_KEY)
        yield
