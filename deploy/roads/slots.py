"""Hours that have speeds of their own: those of a working day, and those of a weekend. Pure.

OSRM knows one speed of a segment at a time. So the speeds of the hour are put in place when it
begins: 48 sets, by UTC. A zone's summer time moves them by an hour, until newer trips outweigh
older ones.
"""

from datetime import UTC, datetime

HOURS = 24
SLOTS = 2 * HOURS
# Speeds of the hours that nobody has driven in.
ANY_HOUR = "any"
_SATURDAY = 5


def slot_at(at_s: float) -> int:
    """The slot of a time (epoch seconds): 0-23 on working days, 24-47 on Saturdays and Sundays."""
    at = datetime.fromtimestamp(at_s, UTC)
    return at.hour + (HOURS if at.weekday() >= _SATURDAY else 0)


def slot_name(slot: int) -> str:
    """As files are named."""
    return f"{'weekend' if slot >= HOURS else 'workday'}-{slot % HOURS:02}"
