"""What an attempt came to. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from common.webhooks.trouble import Trouble

# Longest wait that a receiver can ask for: it may be wrong by a unit.
RETRY_AFTER_MAX_S = 3600.0


# Ours, not the receiver's: they say nothing about whether it is well.
OURS = frozenset(
    (Trouble.KEY, Trouble.UNREADABLE, Trouble.EXPIRED, Trouble.BACKLOG, Trouble.NO_EVENT)
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of one attempt; `trouble` is None where it was taken."""

    trouble: Trouble | None = None
    status: int | None = None
    took_ms: int = 0
    # How long the receiver asks to be left alone.
    retry_after_s: float = 0.0


def trouble_of(status: int) -> Trouble | None:
    """What a status says."""
    if 200 <= status < 300:
        return None
    if status == 410:
        return Trouble.GONE
    return Trouble.REDIRECT if 300 <= status < 400 else Trouble.STATUS


def retry_after_s(header: str | None, now: datetime) -> float:
    """Seconds that a Retry-After header asks for, within bounds; 0 without one, or a broken one."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        # More digits than a century needs are no number to convert.
        seconds = float(text) if len(text) < 10 else RETRY_AFTER_MAX_S
    else:
        try:
            when = parsedate_to_datetime(text)
            seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
            seconds -= now.timestamp()
        except (TypeError, ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)
