"""Why something an app sent is not in the history as it was sent: one fixed list. Pure.

These words are what `/health`, `fleetline status` and the log count.
"""

from enum import StrEnum


class Reason(StrEnum):
    """What became of an item of a request that was answered with 200."""

    # The item is no fix and was never meant as one: a waypoint, a visit, a heartbeat.
    NO_INTEREST = "no_interest"
    # Fixes that can never be stored.
    UNREADABLE = "unreadable"
    ENCRYPTED = "encrypted"
    UNKNOWN_SHAPE = "unknown_shape"
    NO_POSITION = "no_position"
    INVALID_POSITION = "invalid_position"
    NO_TIME = "no_time"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    # Kinds of the last two, of a clock that a GPS receiver set wrong, or nobody set.
    CLOCK_WEEKS_OFF = "clock_weeks_off"
    CLOCK_NOT_SET = "clock_not_set"
    # Fixes that were stored, but not as they were sent.
    WITHOUT_ORDER = "without_order"
    SERVER_TIME = "server_time"


STORED = frozenset({Reason.WITHOUT_ORDER, Reason.SERVER_TIME})
# Reasons for which a fix is lost.
REFUSED = frozenset(Reason) - STORED - {Reason.NO_INTEREST}
