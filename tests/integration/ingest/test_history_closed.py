"""A worker of ingest that stops while the database is asked: what is asked is 503, no bug."""

import asyncio

import pytest

from common.errors import Overloaded
from ingest.resources.history import History


@pytest.mark.parametrize("age", ["first", "later"])
def test_a_question_to_a_pool_that_closes_is_overloaded(database_url: str, age: str) -> None:
    # What broke: the connection was released a second time, to a pool that was None.
    async def main() -> None:
        history = History(database_url, connections_max=1, timeout_s=30)
        if age == "later":
            assert await history.answers()
        began = asyncio.Event()

        async def sleep(connection: object) -> object:
            began.set()
            return await connection.fetch("SELECT pg_sleep(60)")  # type: ignore[attr-defined]

        asked = asyncio.create_task(history.run(sleep))
        await began.wait()
        await history.close()
        with pytest.raises(Overloaded):
            await asked

    asyncio.run(main())
