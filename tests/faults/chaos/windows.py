"""When something was broken, and what that may have cost customers. Pure.

Times are seconds since the round began. A fault explains what happens while it lasts and for
its recovery after it: everything must be back by then. A server of a cluster explains only what
happens to the keys that it had.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

# What dies is back within five seconds, its own start included (experiment 1).
RECOVERY_S = 5.0
# What only paused, or lost its connections, goes on by itself.
RESUME_S = 2.0
# A child that was silent for nearly as long as its heartbeat's timeout may be replaced.
REPLACED_AFTER_S = 4.0
# Who stands between a driver and its 503: Redis and the database do not, ingest must answer.
ANSWERING = frozenset({"ingest", "ingest-worker", "gateway", "up"})
# Servers of Redis: a primary that waits for a replica in vain takes nothing.
STORING = frozenset({"redis", "replica"})
# Who stands between a driver and its customer, beside the consumer of its shard and the servers
# that have their keys. Not the database.
CARRYING = ANSWERING | {"consumers", "fanout"}


@dataclass(slots=True)
class Window:
    """Something was broken. `shard` says which, where `target` is a consumer.

    `slots` are those that a cluster's server had; None: all keys.
    """

    target: str
    shard: int
    from_s: float
    to_s: float
    recovery_s: float = RECOVERY_S
    slots: AbstractSet[int] | None = None

    def has_any_of(self, slots: AbstractSet[int]) -> bool:
        """Whether a server of Redis was broken that had one of `slots`."""
        return self.target in STORING and (self.slots is None or not self.slots.isdisjoint(slots))


@dataclass(frozen=True, slots=True)
class Watched:
    """An order that is watched: the shard of its driver, and the slots of both one's keys."""

    shard: int
    slots: AbstractSet[int] = frozenset()


def recovery_s(verb: str, for_s: float) -> float:
    """How long after its end a fault of that kind explains what customers miss."""
    pauses = verb in {"cut", "fill"} or (verb == "freeze" and for_s < REPLACED_AFTER_S)
    return RESUME_S if pauses else RECOVERY_S


def answering(windows: Iterable[Window]) -> list[Window]:
    """Those in which ingest may be late or silent."""
    return [window for window in windows if window.target in ANSWERING]


def carrying(windows: Iterable[Window], watched: Watched) -> list[Window]:
    """Those in which a customer may see nothing of a watched order."""
    return [
        window
        for window in windows
        if window.target in CARRYING
        or (window.target == "consumer" and window.shard == watched.shard)
        or window.has_any_of(watched.slots)
    ]


def refusing(windows: Iterable[Window], slots: AbstractSet[int]) -> list[Window]:
    """Those in which fixes may be refused whose streams have `slots`."""
    return [w for w in windows if w.target in ANSWERING or w.has_any_of(slots)]


def delivering(windows: Iterable[Window]) -> list[Window]:
    """Those in which no frame at all may arrive: one server of a cluster is not all of them."""
    return [
        w
        for w in windows
        if w.target in {"fanout", "up"} or (w.target == "redis" and w.slots is None)
    ]


def touches(from_s: float, to_s: float, windows: Iterable[Window]) -> bool:
    """Whether a moment between those two lies in a window or its recovery."""
    return any(w.from_s <= to_s and from_s <= w.to_s + w.recovery_s for w in windows)


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
