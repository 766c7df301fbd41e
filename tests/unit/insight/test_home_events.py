"""Events are brought home, and a home that stands still holds nobody up."""

import asyncio
from typing import Any

import asyncpg
import pytest

from consumers.insight import home_events
from consumers.insight.home_events import HomeEvents


class StillHome:
    """A connection to a server that is stopped: nothing is answered, and nothing closed."""

    def __init__(self) -> None:
        self._ended = asyncio.Event()

    def transaction(self) -> "StillHome":
        return self

    async def __aenter__(self) -> None:
        await self.execute("BEGIN")

    async def __aexit__(self, *_error: object) -> None:
        await self.execute("ROLLBACK")

    async def execute(self, _statement: str) -> None:
        await self._ended.wait()
        raise asyncpg.ConnectionDoesNotExistError("closed in the middle of operation")

    def is_closed(self) -> bool:
        return self._ended.is_set()

    def terminate(self) -> None:
        self._ended.set()


class Found:
    """A database with an event."""

    async def fetch(self, _statement: str) -> list[Any]:
        return [{"seq": 1}]


def test_a_home_that_stands_still_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home_events, "HOME_TIMEOUT_S", 0.02)

    async def main() -> None:
        homes: list[StillHome] = []

        async def connect() -> Any:
            homes.append(StillHome())
            return homes[-1]

        events = HomeEvents(connect)
        for tries in (1, 2):
            with pytest.raises(TimeoutError, match="home has not answered"):
                await events.bring(Found())  # type: ignore[arg-type]
            # The next try is over another connection.
            assert len(homes) == tries

    asyncio.run(main())
