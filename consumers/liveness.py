"""Liveness: a worker is alive when each of its stages advances, not when its process exists."""

from collections.abc import Callable


class Liveness:
    """Beats once every part has advanced since the last beat. Pure but for `beat`."""

    def __init__(self, parts: tuple[str, ...], beat: Callable[[], None]) -> None:
        self._beat = beat
        self.watch(parts)

    def watch(self, parts: tuple[str, ...]) -> None:
        """These are the parts, from now on."""
        self._parts = frozenset(parts)
        self._missing = set(parts)

    def all_advanced(self) -> None:
        """The process as a whole did."""
        for part in self._parts:
            self.advanced(part)

    def advanced(self, part: str) -> None:
        """`part` got an answer, or waits for a server that is away: it is not stuck."""
        self._missing.discard(part)
        if not self._missing:
            self._missing.update(self._parts)
            self._beat()
