"""From a matched trace to passes of segments, and to a judgement of speeds. Pure.

Between two fixes a driver passed some segments, the first and the last of them in part. The time
that it took is divided among them as the speeds known so far would have it. Night by night these
come nearer to what is, so the division does too.

Time at turns is the engine's own affair: it adds it to every way, whatever the speeds. So it is
taken off what was observed, and added to what is foretold.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from common.roads.way import MatchedLeg, MatchedPiece
from deploy.roads.learning.speeds import Segment, Speeds, SpeedSums
from deploy.roads.slots import slot_at

# A leg that took this many times longer than foretold was a wait at a door, not a slow road.
SLOWEST = 8.0
# At least this share of the time of a leg is taken for driving, not for turning.
ROLLING_MIN = 0.2
# A piece that is shorter, in seconds, says nothing about the error of an arrival.
JUDGED_S_MIN = 60.0

RatioOf = Callable[[Segment, int], float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """Of some trips: how long they took, and how far off what was foretold was, in seconds."""

    under_way_s: float = 0.0
    off_s: float = 0.0

    def __add__(self, other: "Judgement") -> "Judgement":
        return Judgement(self.under_way_s + other.under_way_s, self.off_s + other.off_s)

    @property
    def error(self) -> float:
        """As a share of the time under way."""
        return self.off_s / self.under_way_s if self.under_way_s else 0.0


def add_passes(sums: SpeedSums, pieces: Iterable[MatchedPiece], ratio_of: RatioOf) -> None:
    """Add what the pieces of a trip say. `ratio_of`: what is known so far."""
    for piece in pieces:
        for leg in piece.legs:
            _add_leg(sums, leg, ratio_of)


def _add_leg(sums: SpeedSums, leg: MatchedLeg, ratio_of: RatioOf) -> None:
    slot = slot_at(leg.begin_s)
    steps = [
        (segment, metres, seconds)
        for segment, metres, seconds in zip(
            pairwise(leg.nodes), leg.step_m, leg.step_s, strict=False
        )
        if seconds > 0 and segment[0] != segment[1]
    ]
    foretold = [seconds * ratio_of(segment, slot) for segment, _, seconds in steps]
    whole_s = sum(foretold)
    if whole_s <= 0:
        return
    passed_s = leg.end_s - leg.begin_s
    rolling_s = max(passed_s - _turning_s(leg), ROLLING_MIN * passed_s)
    share = min(rolling_s / whole_s, SLOWEST)
    for (segment, metres, seconds), foretold_s in zip(steps, foretold, strict=True):
        sums.add(segment, slot, metres, seconds, foretold_s * share)


def judge(pieces: Iterable[MatchedPiece], speeds_of: Callable[[int], Speeds]) -> Judgement:
    """How far the speeds of each trip's hour are off. `speeds_of`: those of a slot."""
    under_way_s = off_s = 0.0
    for piece in pieces:
        begin_s, end_s = piece.legs[0].begin_s, piece.legs[-1].end_s
        took_s = end_s - begin_s
        if took_s < JUDGED_S_MIN:
            continue
        # As whoever asks at the start is told: by the speeds of that hour.
        under_way_s += took_s
        off_s += abs(foretold_s(piece.legs, speeds_of(slot_at(begin_s))) - took_s)
    return Judgement(under_way_s, off_s)


def foretold_s(legs: Sequence[MatchedLeg], speeds: Speeds) -> float:
    """Seconds that the legs take at these speeds."""
    whole_s = 0.0
    for leg in legs:
        whole_s += _turning_s(leg)
        for segment, metres, seconds in zip(
            pairwise(leg.nodes), leg.step_m, leg.step_s, strict=False
        ):
            whole_s += speeds.seconds(segment, metres, seconds)
    return whole_s


def _turning_s(leg: MatchedLeg) -> float:
    return max(0.0, leg.duration_s - sum(leg.step_s))
