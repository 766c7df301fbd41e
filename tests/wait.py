"""Waiting for a condition instead of for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.01
# A condition that is dear to ask about, one that starts a process or connects to a database, is
# asked so much more seldom: what is waited for needs the processor too.
REST_SHARE = 3
REST_MAX_S = 0.25


def wait_until(condition: Callable[[], object], *, timeout_s: float = 10.0, what: str = "") -> None:
    """Poll until `condition` is true. Raises `TimeoutError` that says what did not happen."""
    deadline = time.monotonic() + timeout_s
    asked = time.monotonic()
    while not condition():
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(what or getattr(condition, "__name__", "condition"))
        time.sleep(_rest_s(now - asked))
        asked = time.monotonic()


async def until(
    condition: Callable[[], Awaitable[object]], *, timeout_s: float = 10.0, what: str = ""
) -> None:
    """`wait_until` for a condition that must be awaited."""
    deadline = time.monotonic() + timeout_s
    asked = time.monotonic()
    while not await condition():
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(what or getattr(condition, "__name__", "condition"))
        await asyncio.sleep(_rest_s(now - asked))
        asked = time.monotonic()


def _rest_s(asking_s: float) -> float:
    return min(max(POLL_S, REST_SHARE * asking_s), REST_MAX_S)


async def pace(step_s: float) -> None:
    """Time between two steps of a load. It sets a rate; it never waits for something to happen."""
    await asyncio.sleep(step_s)
