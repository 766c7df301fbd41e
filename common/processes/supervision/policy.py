"""When a child that died is started again: a pure rule.

A run that was healthy for a while wipes the slate. Short runs back off, and too many of them
within the window mark the child failed; it is still tried, rarely, because a shard without its
worker is never stored. A child that says its settings are wrong halts the lot.
"""

import random
from dataclasses import dataclass, field
from math import inf

from common.backoff import Backoff
from common.errors import EXIT_CONFIG

# A stop that one child holds up for longer is explained; usually it takes tenths of a second.
NOTICE_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Parameters of the rule."""

    # Two seconds at most: whatever dies is back within five, its own start included.
    backoff: Backoff = field(default_factory=lambda: Backoff(0.1, 2.0))
    # A run of this length was a good one. Longer than any role needs to fail at its start.
    healthy_after_s: float = 5.0
    # More short runs than this within the window: failed.
    short_runs_max: int = 10
    window_s: float = 60.0
    # How often a failed child is tried all the same.
    failed_retry_s: float = 30.0
    # Exit statuses that restarting cannot mend.
    halting: frozenset[int] = frozenset({EXIT_CONFIG})


@dataclass(frozen=True, slots=True)
class Record:
    """What the rule remembers of a child: the ends of its short runs, in monotonic seconds."""

    short_runs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after `delay_s`; `failed` says that it keeps dying."""

    delay_s: float
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Halt:
    """Do not start it again: everything stops with this exit status."""

    status: int


def judge(
    policy: RestartPolicy,
    record: Record,
    *,
    status: int,
    run_s: float,
    now_s: float,
    rng: random.Random | None = None,
) -> tuple[Restart | Halt, Record]:
    """What to do about a child that ended with `status` (negative: a signal) after `run_s`."""
    if status in policy.halting:
        return Halt(status), record
    if run_s >= policy.healthy_after_s:
        return Restart(policy.backoff.delay_s(0, rng)), Record()
    recent = tuple(end for end in record.short_runs if now_s - end < policy.window_s)
    runs = (*recent, now_s)
    if len(runs) > policy.short_runs_max:
        # Only as many are kept as the rule looks at.
        return Restart(policy.failed_retry_s, failed=True), Record(runs[-policy.short_runs_max :])
    return Restart(policy.backoff.delay_s(len(runs) - 1, rng)), Record(runs)


def stop_until_s(before_s: float, now_s: float, share_s: float, deadline_s: float) -> float:
    """When a child that is stopped now is killed. `before_s`: when the one before would have been.

    A child of a small share is short of time only when those before it used up theirs.
    """
    return min(deadline_s, max(before_s, now_s) + share_s)


class StopNotice:
    """What is said, once, of a child that holds up a stop, to who waits at the terminal."""

    def __init__(self, child: str, now_s: float) -> None:
        self._child = child
        self._due_s = now_s + NOTICE_AFTER_S

    def due(self, now_s: float, until_s: float) -> str:
        """The line, when it is time for it; it is killed at `until_s`."""
        if now_s < self._due_s:
            return ""
        self._due_s = inf
        left_s = max(0.0, until_s - now_s)
        return f"{self._child}: is still stopping, for {left_s:.1f} s at most; Ctrl-C kills all now"
