"""What a supervisor asks about all its children at once. Asks no clock and starts nothing."""

from collections.abc import Iterator

from common.processes.supervision.child import Child
from common.processes.supervision.spec import State

# Readiness is asked this often while a child starts.
READY_POLL_S = 0.05
# A supervisor turns once a second at least. After a longer pause it stood still itself, as in a
# machine that was suspended, and what its children did meanwhile is not known.
STOOD_STILL_S = 2.0


class Children:
    """All children of a supervisor, in the order of their start."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._turned_at_s: float | None = None

    def add(self, child: Child) -> None:
        """One more, the last."""
        self._children.append(child)

    def __iter__(self) -> Iterator[Child]:
        return iter(self._children)

    def __reversed__(self) -> Iterator[Child]:
        return reversed(self._children)

    def named(self, name: str) -> Child | None:
        """The child of that name."""
        return next((child for child in self._children if child.spec.name == name), None)

    def drop_retired(self) -> list[str]:
        """Forget those that are wanted no more and have ended; their names."""
        gone = [c for c in self._children if c.retired and c.pid is None]
        self._children = [child for child in self._children if child not in gone]
        return [child.spec.name for child in gone]

    def excuse_standstill(self, now_s: float) -> None:
        """Once a turn: no child was silent while nobody could hear it."""
        paused_s = now_s - (self._turned_at_s if self._turned_at_s is not None else now_s)
        self._turned_at_s = now_s
        if paused_s > STOOD_STILL_S:
            for child in self._children:
                if child.beat_at_s is not None:
                    child.beat_at_s += paused_s

    def pids(self) -> set[int | None]:
        """Those that run."""
        return {child.pid for child in self._children}

    def running(self) -> list[str]:
        """Names of those that have a process."""
        return [child.spec.name for child in self._children if child.pid is not None]

    def not_ready(self) -> list[str]:
        """Names of those that do not work yet; of one that is to end, that it has not."""
        return [
            child.spec.name
            for child in self._children
            if child.state is not (State.STOPPED if child.spec.once else State.RUNNING)
        ]

    def down(self) -> list[str]:
        """Names of those that ended by themselves."""
        return [c.spec.name for c in self._children if c.state in {State.BACKOFF, State.FAILED}]

    def wait_s(self, now_s: float, most_s: float, *, restart_after_s: float | None) -> float:
        """Seconds until there is something to do, `most_s` at most.

        `restart_after_s`: no child is started again before that many seconds; None: none at all.
        """
        moments = [now_s + most_s]
        for child in self._children:
            if child.state is State.STARTING:
                moments.append(now_s + READY_POLL_S)
            if child.state in {State.BACKOFF, State.FAILED} and restart_after_s is not None:
                moments.append(max(child.start_at_s, now_s + restart_after_s))
            moments += [at for at in (child.kill_at_s, child.silent_at_s()) if at is not None]
        return max(0.0, min(moments) - now_s)
