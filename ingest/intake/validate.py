"""What drivers sent, validated, dated and encoded: one rule for every way in. Pure.

POST one, POST many and the phone apps all end here. Fixes without a time of their own are dated a
microsecond apart in their order, and all fixes of a request arrive with its last one: none lies
in the future, so the last one is the newest.

Long work is a generator that pauses after each bounded piece; `pieces.py` gives the event loop a
turn at every pause, so that a body of a thousand fixes does not hold up a body of one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from common.errors import InvalidUpdate
from common.event import (
    MICROSECOND,
    LocationUpdate,
    TimeLimits,
    encode_event,
    recorded_time,
)
from ingest.intake.clock import Clock

# A fix as it goes to its stream: driver id, event bytes.
Fix = tuple[str, bytes]
# An update that is still to be dated: its index in the request, its driver, what was sent.
Indexed = tuple[int, str, LocationUpdate]

# Fixes that are dated and encoded between two pauses: about 0.5 ms.
FIXES_A_PIECE = 200


@dataclass(frozen=True, slots=True)
class Rejection:
    """A fix that cannot be stored: its index in the request, the driver it names, and why."""

    index: int
    driver_id: str | None
    error: InvalidUpdate


@dataclass(slots=True)
class Verdicts:
    """What became of a request's fixes: those to store, in their order, and the rejected."""

    fixes: list[Fix] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)

    def reject(self, index: int, driver_id: str | None, error: InvalidUpdate) -> None:
        """Note the fix at `index` as one that cannot be stored."""
        self.rejected.append(Rejection(index, driver_id, error))

    def indexes(self) -> list[int]:
        """The index in the request of each of `fixes`: those of all that was not rejected."""
        rejected = {rejection.index for rejection in self.rejected}
        count = len(self.fixes) + len(rejected)
        return [index for index in range(count) if index not in rejected]

    def drivers(self) -> set[str]:
        """Every driver that any of the fixes names, a rejected one too."""
        named = {driver_id for driver_id, _ in self.fixes}
        return named.union(r.driver_id for r in self.rejected if r.driver_id is not None)


class Validator:
    """Dates updates by a worker's clock, judges their times, encodes their events."""

    def __init__(self, clock: Clock, limits: TimeLimits) -> None:
        self._clock = clock
        self._limits = limits

    def validate_one(self, driver_id: str, update: LocationUpdate) -> tuple[datetime, bytes]:
        """`recorded_at` and the event of a request's only update. Raises `InvalidUpdate`."""
        now = self._clock.take()
        recorded_at = recorded_time(update.recorded_at, now, self._limits)
        return recorded_at, encode_event(driver_id, update, recorded_at, now)

    def validate(self, updates: Sequence[Indexed], verdicts: Verdicts) -> Iterator[None]:
        """Add to `verdicts` what becomes of `updates`, in their order."""
        count, limits = len(updates), self._limits
        first = self._clock.take(count)
        received_at = first + (count - 1) * MICROSECOND
        add, encode = verdicts.fixes.append, encode_event
        for begin in range(0, count, FIXES_A_PIECE):
            if begin:
                yield
            piece = updates[begin : begin + FIXES_A_PIECE]
            for place, (index, driver_id, update) in enumerate(piece, begin):
                stamp = update.recorded_at
                if stamp is None:
                    recorded_at = first + place * MICROSECOND
                else:
                    try:
                        recorded_at = recorded_time(stamp, received_at, limits)
                    except InvalidUpdate as e:
                        verdicts.reject(index, driver_id, e)
                        continue
                add((driver_id, encode(driver_id, update, recorded_at, received_at)))
