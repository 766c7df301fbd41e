"""The other half of the law: what those who are connected may be made to wait for. Pure.

A refusal comes within 2 s unless ingest itself was out of order. A customer sees the driver move
unless what carries the frame was out of order; the database carries none. Memory comes back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.chaos.memory import Memory
from tests.faults.chaos.verdict import Verdict
from tests.faults.chaos.windows import Window, answering, carrying, unexplained_s

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
class Waited:
    """What was waited for. Times in seconds since the round began."""

    # (seconds it took, when it began, status) of late answers.
    late: Sequence[tuple[float, float, int]] = ()
    # Shard of each watched order's driver → (length, when it began) of gaps between its frames.
    gaps: Iterable[tuple[int, Sequence[tuple[float, float]]]] = ()
    windows: Sequence[Window] = ()
    memory: Mapping[str, Memory] = field(default_factory=dict)


def judge_service(waited: Waited, verdict: Verdict) -> None:
    """Note what nothing that was broken explains."""
    answers = answering(waited.windows)
    for took_s, at_s, status in waited.late:
        # Any such window in its time may be why it came late.
        undisturbed = unexplained_s(at_s, at_s + took_s, answers) >= took_s
        if status in REFUSALS and took_s > REFUSAL_MAX_S and undisturbed:
            verdict.violate("refused too late", f"{status} after {took_s:.1f} s at {at_s:.1f} s")
    for shard, gaps in waited.gaps:
        carriers = carrying(waited.windows, shard)
        for length_s, at_s in gaps:
            dark_s = unexplained_s(at_s, at_s + length_s, carriers)
            if dark_s > LIVE_GAP_MAX_S:
                verdict.violate(
                    "live stood still",
                    f"{length_s:.1f} s at {at_s:.1f} s in shard {shard}, {dark_s:.1f} unexplained",
                )
    for role, memory in waited.memory.items():
        if memory.after > GROWTH_FACTOR * memory.before + GROWTH_BYTES:
            verdict.violate("memory grew", f"{role}: {memory.before} to {memory.after} bytes")
