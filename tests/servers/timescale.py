"""TimescaleDB for tests, where TEST_TIMESCALE_URL names one: no package of PyPI's brings it.

The URL is that of a role which may create databases, and of any database that it may enter.
Each process of a run makes databases of its own there, and removes them.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.servers.postgres import Databases

URL_ENV = "TEST_TIMESCALE_URL"
NAMED = URL_ENV in os.environ
needs_timescale = pytest.mark.skipif(not NAMED, reason=f"{URL_ENV} names no TimescaleDB")


class TimescaleServer(Databases):
    """Databases on that server."""

    def __init__(self, url: str) -> None:
        super().__init__(f"_{os.getpid()}")
        self._entry = urlsplit(url)

    async def make_template(self) -> None:
        """Closed once it is made: the scheduler of its jobs must not be in it when it is copied."""
        await super().make_template()
        await self.admin(f"ALTER DATABASE {self.template} ALLOW_CONNECTIONS false")
        await self.admin(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.template}'"
        )

    def url(self, database: str) -> str:
        """Where `database` is."""
        name = self._entry.path.lstrip("/") if database == "postgres" else database
        return self._entry._replace(path=f"/{name}").geturl()


@contextmanager
def timescale() -> Iterator[TimescaleServer]:
    """The server that is named."""
    server = TimescaleServer(os.environ[URL_ENV])
    asyncio.run(server.make_template())
    try:
        yield server
    finally:
        server.drop_database(server.template)


async def compress(connection: Any) -> int:
    """Turn all chunks into the columnstore; how many they are. Without TimescaleDB nothing."""
    if await connection.fetchval("SELECT to_regproc('compress_chunk') IS NULL"):
        return 0
    chunks = await connection.fetch(
        "SELECT compress_chunk(chunk, if_not_compressed => true)"
        " FROM show_chunks('locations') AS chunk"
    )
    return len(chunks)
