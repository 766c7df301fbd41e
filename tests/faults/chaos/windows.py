"""When something was broken, and what that may have cost customers. Pure.

Times are seconds since the round began. A fault explains what happens while it lasts and for
its recovery after it: everything must be back by then.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# What dies is back within five seconds, its own start included (experiment 1).
RECOVERY_S = 5.0
# What only paused, or lost its connections, goes on by itself.
RESUME_S = 2.0
# A child that was silent for nearly as long as its heartbeat's timeout may be replaced.
REPLACED_AFTER_S = 4.0
# Who stands between a driver and its 503: Redis and the database do not, ingest must answer.
ANSWERING = frozenset({"ingest", "ingest-worker", "gateway", "up"})
# Who stands between a driver and its customer, beside the consumer of its shard. Not the database.
CARRYING = ANSWERING | {"redis", "consumers", "fanout"}


@dataclass(slots=True)
class Window:
    """Something was broken. `shard` says which, where `target` is a consumer."""

    target: str
    shard: int
    from_s: float
    to_s: float
    recovery_s: float = RECOVERY_S


def recovery_s(verb: str, for_s: float) -> float:
    """How long after its end a fault of that kind explains what customers miss."""
    pauses = verb in {"cut", "fill"} or (verb == "freeze" and for_s < REPLACED_AFTER_S)
    return RESUME_S if pauses else RECOVERY_S


def answering(windows: Iterable[Window]) -> list[Window]:
    """Those in which ingest may be late or silent."""
    return [window for window in windows if window.target in ANSWERING]


def carrying(windows: Iterable[Window], shard: int) -> list[Window]:
    """Those in which a customer of a driver of `shard` may see nothing."""
    return [
        window
        for window in windows
        if window.target in CARRYING or (window.target == "consumer" and window.shard == shard)
    ]


def unexplained_s(from_s: float, to_s: float, windows: Sequence[Window]) -> float:
    """How much of the time between two moments lies in no window, nor in a recovery."""
    left = 0.0
    at_s = from_s
    for window in sorted(windows, key=lambda window: window.from_s):
        if at_s < window.from_s:
            left += min(window.from_s, to_s) - at_s
        at_s = max(at_s, window.to_s + window.recovery_s)
        if at_s >= to_s:
            return left
    return left + to_s - at_s
