"""Progress: a worker is alive when each of its loops advances, not when its process exists."""

from collections.abc import Callable


class Progress:
    """Beats once every part has ticked since the last beat. Pure but for `beat`."""

    def __init__(self, parts: tuple[str, ...], beat: Callable[[], None]) -> None:
        self._parts = frozenset(parts)
        self._missing = set(parts)
        self._beat = beat

    def tick(self, part: str) -> None:
        """`part` has advanced; waiting for something that is away counts, being stuck does not."""
        self._missing.discard(part)
        if not self._missing:
            self._missing.update(self._parts)
            self._beat()
