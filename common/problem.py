"""Every failure that a client can meet, as `application/problem+json` (RFC 9457). Pure.

A program reads `type`, which is stable and listed in the OpenAPI description; `detail` is for
people and may change at any time. Ingest, the fan-out and the front door word their failures from
this one table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import orjson

from common.errors import Fault

MEDIA_TYPE: Final = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure: its stable name, its HTTP status, and a title for people."""

    name: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """The `type` member: a reference relative to the service."""
        return f"/problems/{self.name}"


MALFORMED = Problem("malformed-request", 400, "Bad Request")
UNKNOWN_CREDENTIAL = Problem("unknown-credential", 401, "Unauthorized")
NOT_ALLOWED = Problem("not-allowed", 403, "Forbidden")
CROSS_SITE = Problem("cross-site", 403, "Cross-site request refused")
HOST_NOT_ALLOWED = Problem("host-not-allowed", 403, "Host not allowed")
ORIGIN_NOT_ALLOWED = Problem("origin-not-allowed", 403, "Origin not allowed")
NOT_FOUND = Problem("not-found", 404, "Not Found")
NO_POSITION = Problem("no-position", 404, "No current position")
NO_WEBHOOK = Problem("no-webhook", 404, "No such webhook")
TRACKING_ENDED = Problem("tracking-ended", 404, "Tracking has ended")
NO_GEOFENCE = Problem("no-geofence", 404, "No such geofence")
NO_WAY = Problem("no-way", 404, "No road leads there")
NO_ARRIVAL = Problem("no-arrival", 404, "No arrival is known")
NO_ORDER = Problem("no-order", 404, "No such order")
ORDER_OVER = Problem("order-over", 409, "The order is over")
WEBHOOK_OFF = Problem("webhook-off", 409, "The webhook is switched off")
TOO_MANY_WEBHOOKS = Problem("too-many-webhooks", 409, "Too many webhooks")
STATE_PASSED = Problem("state-passed", 409, "The order is past this state")
METHOD_NOT_ALLOWED = Problem("method-not-allowed", 405, "Method Not Allowed")
BODY_LATE = Problem("body-late", 408, "Request Timeout")
HEAD_LATE = Problem("head-late", 408, "The request did not arrive in time")
BODY_TOO_LARGE = Problem("body-too-large", 413, "Content Too Large")
ADDRESS_TOO_LONG = Problem("address-too-long", 414, "URI Too Long")
UNSUPPORTED_MEDIA_TYPE = Problem("unsupported-media-type", 415, "Unsupported Media Type")
INVALID_VALUE = Problem("invalid-value", 422, "Unprocessable Content")
UPGRADE_REQUIRED = Problem("upgrade-required", 426, "Upgrade Required")
TOO_FAST = Problem("too-fast", 429, "Too Many Requests")
TOO_MANY_REFUSED = Problem("too-many-refused", 429, "Too many refused requests")
TOO_MANY_SOCKETS = Problem("too-many-sockets", 429, "Too many sockets")
TOO_MANY_READS = Problem("too-many-reads", 429, "Too many reads at once")
TOO_MANY_PLANS = Problem("too-many-plans", 429, "Too many plans under way")
HEADERS_TOO_LARGE = Problem("headers-too-large", 431, "Request Header Fields Too Large")
INTERNAL_ERROR = Problem("internal-error", 500, "Internal Server Error")
NOT_IMPLEMENTED = Problem("not-implemented", 501, "Not Implemented")
UNAVAILABLE = Problem("unavailable", 503, "Service Unavailable")
SERVER_FULL = Problem("server-full", 503, "All sockets are taken")
GOING_AWAY = Problem("going-away", 503, "The server is going away")
NOT_RUNNING = Problem("not-running", 503, "This part is not running")

PROBLEMS: Final = tuple(value for value in globals().values() if isinstance(value, Problem))

# What is said when nothing more is known than the status: the first of each status above.
_BY_STATUS = MappingProxyType({p.status: p for p in reversed(PROBLEMS)})


def problem_of(status: int) -> Problem:
    """The general problem of a status; one that is not in the table stands for its class."""
    known = _BY_STATUS.get(status)
    if known is not None:
        return known
    general = INTERNAL_ERROR if status >= 500 else MALFORMED
    return Problem(general.name, status, general.title)


def encode_problem(
    problem: Problem, detail: str, errors: Sequence[dict[str, object]] = ()
) -> bytes:
    """The body of a failure. `errors` names the fields at fault."""
    members: dict[str, object] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
    }
    if errors:
        members["errors"] = list(errors)
    return orjson.dumps(members)


def faults_listed(faults: Sequence[Fault]) -> list[dict[str, object]]:
    """Faults as they stand in a problem's `errors`."""
    return [{"field": fault.field, "detail": fault.detail} for fault in faults]
