"""The database that the tools speak to: that of DATABASE_URL, or of the stack in FLEETLINE_HOME."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from common.databases.placing import parse_urls
from common.databases.seat import Seat, seats
from common.errors import FleetlineError, words_of
from common.settings import Settings
from consumers.insight.database import connect
from deploy.stack.home import Home
from deploy.stack.wiring import database_url
from deploy.tools.stack_redis import stack_redis_url, unstarted


def stack_database_url(settings: Settings) -> str:
    """DATABASE_URL where it is set; else what the last start in this home left, or would use."""
    if settings.given("database_url"):
        return settings.database_url
    return Home(settings.fleetline_home).noted().get("database_url") or database_url(settings)


def stack_databases(settings: Settings) -> dict[Seat, str]:
    """All of them: DATABASE_URLS where it is set, else likewise; home first."""
    urls = settings.databases
    if not settings.given("database_url"):
        noted = Home(settings.fleetline_home).noted().get("database_urls", "")
        urls = parse_urls(noted) or (stack_database_url(settings),)
    return dict(zip(seats(len(urls)), urls, strict=True))


def at_its_servers(settings: Settings) -> Settings:
    """The settings with the addresses that the tools use, Redis' too."""
    urls = tuple(stack_databases(settings).values())
    addresses = {
        "redis_url": stack_redis_url(settings),
        "database_url": urls[0],
        "database_urls": ",".join(urls) if len(urls) > 1 else "",
    }
    return settings.model_copy(update=addresses)


@asynccontextmanager
async def stack_database(
    settings: Settings, seat: Seat | None = None
) -> AsyncIterator[asyncpg.Connection]:
    """A connection for the block, to home where no seat is named.

    Raises `FleetlineError` when the database does not answer.
    """
    databases = stack_databases(settings)
    seat = seat or next(iter(databases))
    try:
        connection = await connect(databases[seat], seat, "this command")
        try:
            yield connection
        finally:
            connection.terminate()
    except asyncpg.UndefinedTableError as e:
        raise FleetlineError("the database's schema is older: run fleetline migrate") from e
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as e:
        raise FleetlineError(
            f"the database does not answer: {words_of(e)}{unstarted(settings, 'database_url')}"
        ) from e
