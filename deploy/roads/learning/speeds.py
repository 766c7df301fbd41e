"""What trips say about speeds: sums of segments by hour, and what is concluded from them. Pure.

A segment is two neighbouring nodes of the map, in the direction that was driven. What is estimated
is how many times longer it takes than the map's own speed says (a *ratio*). Few trips pass a
segment in a given hour, so a ratio is drawn towards what is known with more certainty: the hour's
ratio of all segments times what is peculiar to the segment in all hours (empirical Bayes, with
pseudo-observations of so many seconds).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.roads.slots import SLOTS

# From node, to node.
Segment = tuple[int, int]

# Seconds of driving that a prior belief weighs: that of the whole network, of an hour, of a
# segment, and of a segment in an hour.
NETWORK_PRIOR_S = 600.0
HOUR_PRIOR_S = 600.0
SEGMENT_PRIOR_S = 60.0
CELL_PRIOR_S = 40.0
# A segment is not held to be this much quicker or slower than the map says, whatever was seen.
RATIO_MIN, RATIO_MAX = 0.3, 10.0
# OSRM takes a speed of nothing for a closed road.
SPEED_MIN_KMH = 1.0
# What a day's sums weigh after another day: half after two weeks.
DAY_WEIGHT = 0.95
# Sums below this say nothing any more, and are forgotten. A short segment is a tenth of a second.
FORGET_S = 0.05


@dataclass(frozen=True, slots=True)
class Speeds:
    """Speeds of an hour: km/h of segments; all others take `others` times what the map says."""

    kmh: Mapping[Segment, float]
    others: float = 1.0

    def seconds(self, segment: Segment, metres: float, by_map_s: float) -> float:
        """How long a part of a segment takes."""
        kmh = self.kmh.get(segment)
        return by_map_s * self.others if kmh is None else 3.6 * metres / kmh


@dataclass(slots=True)
class PassSum:
    """Passes of a segment in an hour, added up."""

    metres: float = 0.0
    expected_s: float = 0.0
    observed_s: float = 0.0

    def add(self, metres: float, expected_s: float, observed_s: float) -> None:
        """One more."""
        self.metres += metres
        self.expected_s += expected_s
        self.observed_s += observed_s


class SpeedSums:
    """Sums of all segments and hours of one kind of vehicle."""

    def __init__(self) -> None:
        self.by_segment: dict[Segment, dict[int, PassSum]] = {}

    def add(
        self, segment: Segment, slot: int, metres: float, expected_s: float, observed_s: float
    ) -> None:
        """A pass."""
        slots = self.by_segment.get(segment)
        if slots is None:
            slots = self.by_segment[segment] = {}
        passes = slots.get(slot)
        if passes is None:
            passes = slots[slot] = PassSum()
        passes.add(metres, expected_s, observed_s)

    def merge(self, other: "SpeedSums") -> None:
        """Add all of another's."""
        for segment, slots in other.by_segment.items():
            for slot, passes in slots.items():
                self.add(segment, slot, passes.metres, passes.expected_s, passes.observed_s)

    def age(self, weight: float = DAY_WEIGHT) -> None:
        """A day has gone by: what was seen weighs less, and what weighs nothing is forgotten."""
        for segment, slots in list(self.by_segment.items()):
            for slot, passes in list(slots.items()):
                passes.metres *= weight
                passes.expected_s *= weight
                passes.observed_s *= weight
                if passes.expected_s < FORGET_S:
                    del slots[slot]
            if not slots:
                del self.by_segment[segment]


@dataclass(frozen=True, slots=True)
class Ratios:
    """What the sums say: how many times longer than by the map."""

    network: float
    by_slot: tuple[float, ...]
    by_segment: Mapping[Segment, float]
    sums: SpeedSums = field(repr=False)

    def of(self, segment: Segment, slot: int) -> float:
        """Of a segment in an hour; as the hour is, where nobody passed."""
        peculiar = self.by_segment.get(segment)
        if peculiar is None:
            return self.others(slot)
        prior = self.by_slot[slot] * peculiar
        passes = self.sums.by_segment[segment].get(slot)
        if passes is None:
            return _bounded(prior)
        observed = passes.observed_s + CELL_PRIOR_S * prior
        return _bounded(observed / (passes.expected_s + CELL_PRIOR_S))

    def whenever(self, segment: Segment) -> float:
        """Of a segment in an hour of which nothing is known."""
        return _bounded(self.network * self.by_segment[segment])

    def others(self, slot: int | None) -> float:
        """Of a segment that nobody passed; `slot` None: whenever."""
        return _bounded(self.network if slot is None else self.by_slot[slot])

    def speeds(self, slot: int | None) -> Speeds:
        """Those of an hour; `slot` None: whenever."""
        found = {}
        for segment, slots in self.sums.by_segment.items():
            metres = sum(passes.metres for passes in slots.values())
            expected_s = sum(passes.expected_s for passes in slots.values())
            if metres <= 0 or expected_s <= 0:
                continue
            ratio = self.whenever(segment) if slot is None else self.of(segment, slot)
            found[segment] = max(SPEED_MIN_KMH, 3.6 * metres / expected_s / ratio)
        return Speeds(found, self.others(slot))

    def slots(self) -> list[int]:
        """Hours in which somebody drove."""
        return sorted({slot for slots in self.sums.by_segment.values() for slot in slots})


def conclude(sums: SpeedSums) -> Ratios:
    """The ratios that these sums say."""
    expected, observed = [0.0] * SLOTS, [0.0] * SLOTS
    for slots in sums.by_segment.values():
        for slot, passes in slots.items():
            expected[slot] += passes.expected_s
            observed[slot] += passes.observed_s
    network = (sum(observed) + NETWORK_PRIOR_S) / (sum(expected) + NETWORK_PRIOR_S)
    by_slot = tuple(
        (o + HOUR_PRIOR_S * network) / (e + HOUR_PRIOR_S)
        for o, e in zip(observed, expected, strict=True)
    )
    by_segment = {
        segment: (sum(p.observed_s for p in slots.values()) + SEGMENT_PRIOR_S)
        / (sum(p.expected_s * by_slot[slot] for slot, p in slots.items()) + SEGMENT_PRIOR_S)
        for segment, slots in sums.by_segment.items()
    }
    return Ratios(network, by_slot, by_segment, sums)


def speed_lines(speeds: Mapping[Segment, float]) -> Iterable[str]:
    """As `osrm-customize` reads them. Its node ids are whole numbers."""
    for (begin, end), kmh in sorted(speeds.items()):
        yield f"{begin},{end},{kmh:.1f}\n"


def read_speed_lines(lines: Iterable[str]) -> dict[Segment, float]:
    """Likewise the other way round."""
    found = {}
    for line in lines:
        begin, end, kmh = line.split(",")
        found[int(begin), int(end)] = float(kmh)
    return found


def _bounded(ratio: float) -> float:
    return min(RATIO_MAX, max(RATIO_MIN, ratio))


def grouped(rows: Iterable[tuple[Any, ...]]) -> SpeedSums:
    """Sums of rows: from node, to node, slot, metres, expected, observed."""
    sums = SpeedSums()
    for begin, end, slot, metres, expected_s, observed_s in rows:
        sums.add((begin, end), slot, metres, expected_s, observed_s)
    return sums
