"""Fixes that one of the rules could not take. A bug of the rule's; it must stop nobody else.

Each is left out of that rule alone, is counted and said with its position in the stream, and all
others go on. Without this one fix would end the engine, and again when it is read again.
"""

import time
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from common.event import LocationEvent
from common.log import get
from consumers.stream.entry import PlacedEvent

# Lines of a minute: a rule that fails for every fix must not fill the disk.
SAID_A_MINUTE = 20
_MINUTE_S = 60.0
_ERROR_CHARS_MAX = 200

_log = get("places")


class Rule(StrEnum):
    """What a fix was left out of. The values are labels of a metric."""

    PRESENCE = "presence"
    GEOFENCES = "geofences"
    ORDERS = "orders"
    # The database refused the event for what it says.
    EVENTS = "events"


class LeftOut(NamedTuple):
    """A fix and a rule; no fix where time alone was looked at, or where an event says which."""

    rule: Rule
    driver_id: str
    fix: LocationEvent | None
    error: Exception


class LeftOutCounts:
    """Counts and says them. Of one process."""

    def __init__(self) -> None:
        # Also the rules that nothing was left out of: Prometheus sees a rise from 0 alone.
        self.counts: Counter[Rule] = Counter(dict.fromkeys(Rule, 0))
        self._minute_s = float("-inf")
        self._said = self._unsaid = 0

    def note(self, left_out: Iterable[LeftOut], placed: Iterable[PlacedEvent]) -> None:
        """`placed` are the events that were read, where their positions are looked up."""
        left_out = list(left_out)
        if not left_out:
            return
        positions = {id(each.event): each.position.name.decode() for each in placed}
        for rule, driver_id, fix, error in left_out:
            self.counts[rule] += 1
            if not self._may_say():
                self._unsaid += 1
                continue
            unsaid, self._unsaid = self._unsaid, 0
            _log.error(
                "places.left_out",
                rule=rule.value,
                driver=driver_id,
                id=positions.get(id(fix), ""),
                error=f"{type(error).__name__}: {error}"[:_ERROR_CHARS_MAX],
                unsaid=unsaid,
                # Where it was; once a minute, since it is long and mostly the same.
                exc_info=error if self._said == 1 else None,
            )

    def _may_say(self) -> bool:
        now_s = time.monotonic()
        if now_s - self._minute_s >= _MINUTE_S:
            self._minute_s, self._said = now_s, 0
        self._said += 1
        return self._said <= SAID_A_MINUTE
