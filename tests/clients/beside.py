"""Loops that run in threads beside a test."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(stopping: threading.Event, *loops: Callable[[], None]) -> Iterator[None]:
    """Run them for the block; each returns soon after `stopping` is set."""
    threads = [threading.Thread(target=loop) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
