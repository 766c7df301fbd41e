"""What a driver's rate means for its fixes, whatever the rate is. Pure.

`Producer` asks a `FixPace` which fixes are paid, and which the rate's script has to be asked for.
`Unlimited` is the pace without a limit, `per_driver.PerDriver` the one with a limit a driver.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from common.errors import Refused
from ingest.intake.validate import Fix

# A client that waits longer gains nothing: its queue is taken in parts.
RETRY_AFTER_MAX_S = 300


@dataclass(frozen=True, slots=True)
class Ask:
    """One driver's fixes that no lease covers, for the script: their indexes, and their events."""

    driver_id: str
    indexes: Sequence[int]
    events: Sequence[bytes]


@dataclass(slots=True)
class Admitted:
    """What may happen to a request's fixes: some are paid, Redis is asked for some, some wait."""

    paid: Sequence[Fix] = ()
    asks: list[Ask] = field(default_factory=list)
    # Indexes of those refused from memory, and the longest wait among them.
    limited: list[int] = field(default_factory=list)
    wait_s: float = 0.0


class FixPace(Protocol):
    """Holds drivers to a rate, or does not."""

    @property
    def terms(self) -> tuple[str | int, ...]:
        """What the script is told of the rate; empty where nothing is ever asked."""

    def spend(self, driver_id: str) -> bool:
        """Whether one fix of the driver is paid already; it is spent."""

    def admit(self, fixes: Sequence[Fix], *, whole: bool) -> Admitted:
        """Sort a request's fixes. With `whole` a driver's fixes are taken together or not."""

    def note(self, ask: Ask, reply: Sequence[int]) -> tuple[int, float]:
        """What the script said to `ask`: fixes added, and seconds until the rest would fit."""

    def take_locally(self, ask: Ask, *, whole: bool) -> tuple[int, float]:
        """As `note`, by this worker's own account: Redis cannot say now."""

    def charge(self, driver_id: str, count: int) -> None:
        """Charge `count` fixes that were refused for what they are."""

    # How often `require` raised.
    turned_away: int

    def require(self, driver_id: str) -> None:
        """Raise `Refused` (429) for a driver that is known to be too fast; asks nobody.

        For before its fix is looked at: a driver that floods is to cost as little as can be.
        """

    def too_fast(self, wait_s: float) -> Refused:
        """The refusal of a driver that has to wait so long."""


class Unlimited:
    """No rate: every fix is paid."""

    turned_away = 0

    terms: tuple[str | int, ...] = ()

    def spend(self, driver_id: str) -> bool:
        """Always."""
        return True

    def admit(self, fixes: Sequence[Fix], *, whole: bool) -> Admitted:
        """All of them."""
        return Admitted(paid=fixes)

    def note(self, ask: Ask, reply: Sequence[int]) -> tuple[int, float]:
        """All of them were added."""
        return len(ask.events), 0.0

    def take_locally(self, ask: Ask, *, whole: bool) -> tuple[int, float]:
        """All of them may be added."""
        return len(ask.events), 0.0

    def charge(self, driver_id: str, count: int) -> None:
        """There is no account to charge."""

    def require(self, driver_id: str) -> None:
        """Nobody is too fast."""

    def too_fast(self, wait_s: float) -> Refused:
        """The general refusal; no driver meets it."""
        return Refused(429, "too fast", retry_after_s=retry_after_s(wait_s))


def retry_after_s(wait_s: float) -> int:
    """Whole seconds for a Retry-After header."""
    return max(1, min(RETRY_AFTER_MAX_S, math.ceil(wait_s)))
