"""Which processes a role has, how often each was started again, and when it last reported. Pure."""

from common.metrics.names import process
from common.metrics.snapshot import Snapshot


class ProcessTable:
    """The children of a main process. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._starts: dict[str, int] = {}
        # Of those that run: when they last said something, at first when they began.
        self._heard_s: dict[str, float] = {}

    def began(self, name: str, now_s: float) -> None:
        """A process of this name runs now."""
        self._starts[name] = self._starts.get(name, 0) + 1
        self._heard_s[name] = now_s

    def heard(self, name: str, now_s: float) -> None:
        """It has reported."""
        self._heard_s[name] = now_s

    def ended(self, name: str) -> None:
        """It runs no more."""
        self._heard_s.pop(name, None)

    def retired(self, name: str) -> None:
        """It is not to run here any more, so that it does not is no trouble."""
        self._starts.pop(name, None)
        self._heard_s.pop(name, None)

    def put(self, snapshot: Snapshot, now_s: float) -> None:
        """Give what is known of each."""
        for name, starts in self._starts.items():
            heard_s = self._heard_s.get(name)
            snapshot.put(process.UP, int(heard_s is not None), name)
            snapshot.put(process.RESTARTS, starts - 1, name)
            if heard_s is not None:
                snapshot.put(process.REPORT_AGE, now_s - heard_s, name)
