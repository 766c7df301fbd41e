"""The other half of the law: what those who are connected may be made to wait for. Pure.

A refusal comes within 2 s unless ingest itself was out of order, and only while what stores the fix
was. A customer sees the driver move unless what carries the frame was out of order; the database
carries none. The fan-out says that it delivers as long as one server of Redis does. Memory comes
back.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from tests.faults.chaos.memory import Memory
from tests.faults.chaos.verdict import Verdict
from tests.faults.chaos.windows import (
    Watched,
    Window,
    answering,
    carrying,
    delivering,
    refusing,
    touches,
    unexplained_s,
)

# The promise, and room for a machine that also runs the load and the faults.
REFUSAL_MAX_S = 2.0 + 1.0
# Watched drivers move five times a second.
LIVE_GAP_MAX_S = 3.0
# A role may have grown by this in a round: pools and caches fill, a leak goes on.
GROWTH_FACTOR = 2
GROWTH_BYTES = 64 * 1_048_576
# Statuses that are refusals; 0 is no answer at all.
REFUSALS = (503, 0)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 503: when it was asked for, how long it took, and the slots of its fixes' streams."""

    at_s: float
    took_s: float
    slots: AbstractSet[int]


@dataclass(frozen=True, slots=True)
class Waited:
    """What was waited for. Times in seconds since the round began."""

    # (seconds it took, when it began, status) of late answers.
    late: Sequence[tuple[float, float, int]] = ()
    # Each watched order → (length, when it began) of gaps between its frames.
    gaps: Iterable[tuple[Watched, Sequence[tuple[float, float]]]] = ()
    windows: Sequence[Window] = ()
    memory: Mapping[str, Memory] = field(default_factory=dict)
    refusals: Sequence[Refusal] = ()
    # When the fan-out said that it does not deliver, or nothing.
    unready: Sequence[float] = ()


def judge_service(waited: Waited, verdict: Verdict) -> None:
    """Note what nothing that was broken explains."""
    answers = answering(waited.windows)
    for took_s, at_s, status in waited.late:
        # Any such window in its time may be why it came late.
        undisturbed = unexplained_s(at_s, at_s + took_s, answers) >= took_s
        if status in REFUSALS and took_s > REFUSAL_MAX_S and undisturbed:
            verdict.violate("refused too late", f"{status} after {took_s:.1f} s at {at_s:.1f} s")
    for watched, gaps in waited.gaps:
        carriers = carrying(waited.windows, watched)
        for length_s, at_s in gaps:
            dark_s = unexplained_s(at_s, at_s + length_s, carriers)
            if dark_s > LIVE_GAP_MAX_S:
                verdict.violate(
                    "live stood still",
                    f"{length_s:.1f} s at {at_s:.1f} s in shard {watched.shard}, "
                    f"{dark_s:.1f} unexplained",
                )
    for refusal in waited.refusals:
        causes = refusing(waited.windows, refusal.slots)
        if not touches(refusal.at_s, refusal.at_s + refusal.took_s, causes):
            verdict.violate("refused for nothing", f"at {refusal.at_s:.1f} s")
    for at_s in waited.unready:
        if not touches(at_s, at_s, delivering(waited.windows)):
            verdict.violate("not ready", f"the fan-out at {at_s:.1f} s")
    for role, memory in waited.memory.items():
        if memory.after > GROWTH_FACTOR * memory.before + GROWTH_BYTES:
            verdict.violate("memory grew", f"{role}: {memory.before} to {memory.after} bytes")


def refused_for_s(window: Window, refusals: Iterable[Refusal], windows: Iterable[Window]) -> float:
    """How long after a cluster's server was broken fixes of its shards alone were still refused,
    until the next of `windows` in which they might be for another reason.
    """
    later = [
        other.from_s
        for other in windows
        if other.from_s > window.from_s and other in refusing([other], window.slots or frozenset())
    ]
    until_s = min(later, default=math.inf)
    after = [
        refusal.at_s + refusal.took_s - window.from_s
        for refusal in refusals
        if refusal.slots <= (window.slots or frozenset())
        and window.from_s <= refusal.at_s + refusal.took_s < until_s
    ]
    return max(after, default=0.0)
