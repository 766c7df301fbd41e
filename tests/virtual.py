"""An event loop whose clock jumps: a test of minutes takes milliseconds, and repeats exactly.

Nothing may wait for the world outside (no sockets, no threads): whenever no callback is ready,
the time moves to the next timer.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: all tasks wait for each other")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._clock.now


def run_virtually(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` on a loop of its own; an exception that nobody handled fails the test."""
    unhandled: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        runner.run(main)
    assert unhandled == []
