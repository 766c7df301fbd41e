"""A link is looked at as seldom as can be, and no reply is overdue without being found."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import Overloaded
from common.redis.link import PING_AFTER_IDLE_S, Link
from common.redis.wire import WATCH_LEAST_S
from tests.virtual import run_virtually
from tests.wait import pace

TIMEOUT_S = 0.5


class Pipe(asyncio.Transport):
    """Takes what is written, and nothing comes back by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def abort(self) -> None:
        """Nothing is open."""


async def _watched(link: Link) -> tuple[int, float]:
    """Look as `Wire` does until the link is lost; how often, and when that was."""
    looks = 0
    while not link.lost.done():
        looks += 1
        await asyncio.wait((link.lost,), timeout=max(WATCH_LEAST_S, link.watch()))
    return looks, asyncio.get_running_loop().time()


# Seconds before each command, and whether it is answered at once.
@given(st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=12))
def test_a_missing_reply_is_found_in_time(sent: list[tuple[float, bool]]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        link = Link(TIMEOUT_S, 1_000_000)
        link.connection_made(Pipe())
        watching = asyncio.ensure_future(_watched(link))
        # A link that owes nothing is asked whether it lives, and then owes that answer.
        due_s = PING_AFTER_IDLE_S + TIMEOUT_S
        for wait_s, answered in sent:
            await pace(wait_s)
            if link.lost.done():
                break
            link.add(("ECHO", "x")).add_done_callback(lambda future: future.exception())
            if answered:
                for _ in range(len(link._waiting)):
                    link.data_received(b"+x\r\n")
                due_s = loop.time() + PING_AFTER_IDLE_S + TIMEOUT_S
            else:
                due_s = min(due_s, loop.time() + TIMEOUT_S)
        _, found_s = await watching
        assert found_s <= due_s + 2 * WATCH_LEAST_S

    run_virtually(main())


def test_a_quiet_link_is_looked_at_about_as_often_as_a_reply_may_be_late() -> None:
    async def main() -> None:
        link = Link(TIMEOUT_S, 1_000_000)
        pipe = Pipe()
        link.connection_made(pipe)
        looks, _ = await _watched(link)
        assert looks <= PING_AFTER_IDLE_S / TIMEOUT_S + 3
        assert b"PING" in pipe.written
        with pytest.raises(Overloaded):
            link.add(("PING",))

    run_virtually(main())
