"""Closing everybody before a stop: in waves, so that the next server is not stampeded.

Clients come back at once; those of a process with 20,000 sockets would otherwise all shake
hands with its successor in the same second.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

from fanout.sockets.close_codes import GOING_AWAY
from fanout.sockets.session import Session
from fanout.sockets.sessions import Sessions

T = TypeVar("T")

# Time between two waves, in seconds, before jitter.
WAVE_S: Final = 0.1
# The least sessions of a wave: a handful need no waves at all.
WAVE_LEAST: Final = 50
# Part of the deadline for the waves; the rest is for the answers and for what follows.
WAVES_SHARE: Final = 0.6


def plan_waves(sessions: Sequence[T], window_s: float) -> Iterator[Sequence[T]]:
    """Split into waves of equal size that fit into `window_s`."""
    most = max(1, int(window_s / WAVE_S))
    size = max(WAVE_LEAST, -(-len(sessions) // most))
    for start in range(0, len(sessions), size):
        yield sessions[start : start + size]


async def drain(sessions: Sessions, deadline_s: float) -> None:
    """Close all sessions with 1001; abort those still there at the deadline."""
    loop = asyncio.get_running_loop()
    until = loop.time() + deadline_s
    everybody: list[Session] = list(sessions.open)
    random.shuffle(everybody)
    for number, wave in enumerate(plan_waves(everybody, deadline_s * WAVES_SHARE)):
        if number:
            await asyncio.sleep(WAVE_S * random.uniform(0.5, 1.0))  # noqa: S311
        for session in wave:
            session.close(GOING_AWAY)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(until):
            await sessions.emptied.wait()
    for session in tuple(sessions.open):
        session.abort()
    # An abort is carried out in the loop's next turns.
    for _ in range(3):
        await asyncio.sleep(0)
