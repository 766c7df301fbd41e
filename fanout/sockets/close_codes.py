"""Why a socket is closed, as data: the code, the reason, and whether to come back.

Codes below 4000 are RFC 6455's, the others are ours; API.md promises them to clients. A client
that meets a code it does not know should reconnect below 4000 and stop from 4000 on.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Close:
    """A row of the table: `reconnect` says whether the client should come back."""

    code: int
    reason: str
    reconnect: bool


# The server is stopping (a deploy): come back, with jitter; another one is there.
GOING_AWAY: Final = Close(1001, "server going away", reconnect=True)
# No pong in time. The client most likely never sees it; if it does, it should come back.
NO_PONG: Final = Close(1001, "no pong", reconnect=True)
# The client broke RFC 6455. Its next connection may do better.
PROTOCOL_ERROR: Final = Close(1002, "protocol error", reconnect=True)
# A text message that is not UTF-8.
INVALID_TEXT: Final = Close(1007, "not UTF-8", reconnect=True)
# Refused by policy, or a flood of frames.
NOT_ALLOWED: Final = Close(1008, "not allowed", reconnect=False)
# A message above INBOUND_BYTES_MAX. Clients have nothing to say here.
TOO_BIG: Final = Close(1009, "message too big", reconnect=False)
# Redis is away, so nothing can be read or promised: try later.
TRY_LATER: Final = Close(1013, "try again later", reconnect=True)
# A reader of events did not take them fast enough, and misses what came then: what it has not seen
# is in the feed.
BEHIND: Final = Close(1013, "too slow: read /api/v1/events, then come back", reconnect=True)
# Redis was away, and events may have been published meanwhile: likewise.
MISSED: Final = Close(1013, "events were missed: read /api/v1/events", reconnect=True)
# The order is done. Nothing will ever come again.
TRACKING_ENDED: Final = Close(4000, "tracking ended", reconnect=False)
# The token that opened this socket expired or was revoked; a new one may open another.
TOKEN_EXPIRED: Final = Close(4003, "token expired or revoked", reconnect=False)

CLOSES: Final = (
    GOING_AWAY,
    NO_PONG,
    PROTOCOL_ERROR,
    INVALID_TEXT,
    NOT_ALLOWED,
    TOO_BIG,
    TRY_LATER,
    BEHIND,
    MISSED,
    TRACKING_ENDED,
    TOKEN_EXPIRED,
)

# Codes a client may send (RFC 6455 section 7.4, and IANA's registry up to 1014).
_RECEIVABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})


def may_be_received(code: int) -> bool:
    """Whether `code` is valid in a client's close frame."""
    return code in _RECEIVABLE or 3000 <= code <= 4999
