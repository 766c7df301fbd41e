"""Waiting for a condition instead of for a time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

POLL_S = 0.01


def wait_until(condition: Callable[[], object], *, timeout_s: float = 10.0, what: str = "") -> None:
    """Poll until `condition` is true. Raises `TimeoutError` that says what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what or getattr(condition, "__name__", "condition"))
        time.sleep(POLL_S)


async def until(
    condition: Callable[[], Awaitable[object]], *, timeout_s: float = 10.0, what: str = ""
) -> None:
    """`wait_until` for a condition that must be awaited."""
    deadline = time.monotonic() + timeout_s
    while not await condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what or getattr(condition, "__name__", "condition"))
        await asyncio.sleep(POLL_S)


async def pace(step_s: float) -> None:
    """Time between two steps of a load. It sets a rate; it never waits for something to happen."""
    await asyncio.sleep(step_s)
