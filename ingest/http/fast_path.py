"""Good fixes, answered without Falcon: a POST one or POST many that is as it should be.

Falcon's request, routing and response cost 8 µs, what stands around them as much again, and
nothing of it is needed for it. A request that is unusual (another header, an unknown credential, a
body in parts) goes to Falcon as if this were not here. What is tried here is also answered here, a
failure too: both ways word it by `failure_of`. A driver that floods is refused at a cost of 44 µs
(through Falcon 82): otherwise it would cost more than those it is held back for.
"""

from bisect import bisect_left
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import monotonic
from typing import Any, Protocol

from common.access.policy import Principal
from common.problem import MEDIA_TYPE
from ingest.http.access import Access
from ingest.http.body import JSON, SLOW_AFTER_S, Body, is_utf8
from ingest.http.edge import Edge
from ingest.http.problem import COMMON_HEADERS, failure_of
from ingest.http.request_id import HEADER, valid_request_id
from ingest.http.request_watch import FastTimes

_JSON, _PROBLEM = JSON.encode(), MEDIA_TYPE.encode()
_MEDIA_TYPES = (None, _JSON)

Headers = Sequence[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _encoded(headers: Sequence[tuple[str, str]]) -> Headers:
    return [(name.encode(), text.encode()) for name, text in headers]


_COMMON = _encoded(COMMON_HEADERS)
_REQUEST_ID = HEADER.encode()


# What is answered when nothing was raised: a status, 202 with JSON or that of a problem, a body,
# and further headers. A plain tuple: one with names costs 0.2 µs more.
FastAnswer = tuple[int, bytes, Sequence[tuple[str, str]]]
# Answers what is unusual.
Otherwise = Callable[["Scope", Body, "Send"], Awaitable[None]]


class FastRoute(Protocol):
    """What differs between paths that are answered fast. `template` names the path in metrics."""

    template: str
    bytes_max: int

    def subject(self, path: str) -> str | None:
        """The driver that a path names, empty where it names none; None: Falcon is to look."""

    def may(self, principal: Principal, subject: str) -> bool:
        """Whether `principal` may send what comes; if not, Falcon refuses it."""

    def take(self, subject: str, data: bytes) -> Awaitable[FastAnswer]:
        """Take what was sent. Raises what `failure_of` knows."""


def _text(request_id: bytes | None) -> str:
    return valid_request_id(request_id.decode("latin-1")) if request_id is not None else ""


def _with_id(request_id: bytes) -> Headers:
    return [*_COMMON, (_REQUEST_ID, request_id)] if _text(request_id) else _COMMON


class FastPath:
    """Looks at the requests of one path, and answers them or leaves them as they were."""

    def __init__(self, route: FastRoute, access: Access, edge: Edge, times: FastTimes) -> None:
        self._route = route
        self._bytes_max = route.bytes_max
        self._access = access
        self._edge = edge
        self._times = times

    async def answer(self, scope: Scope, body: Body, send: Send, otherwise: Otherwise) -> None:
        """Answer it, or leave it to `otherwise`: `body` keeps what was read."""
        route = self._route
        headers = dict(scope["headers"])
        # A header given twice is not for us to interpret.
        usual = len(headers) == len(scope["headers"]) and b"origin" not in headers
        length = int(headers.get(b"content-length", b"0"))
        if not (
            usual
            and 0 < length <= self._bytes_max
            and headers.get(b"content-type") in _MEDIA_TYPES
            and (subject := route.subject(scope["path"])) is not None
            and self._edge.passes(headers)
            and (not self._access.on or self._may_send(headers, subject))
        ):
            await otherwise(scope, body, send)
            return
        data = await body.begin()
        usual = len(data) == length and (data.isascii() or is_utf8(data))
        if not usual or monotonic() - body.begun_at > SLOW_AFTER_S:
            await otherwise(scope, body, send)
            return
        media_type, more = _JSON, _COMMON
        request_id = headers.get(_REQUEST_ID)
        if request_id is not None:
            more = _with_id(request_id)
        try:
            status, answer, extra = await route.take(subject, data)
        except Exception as e:
            failure = failure_of(e, "POST", route.template, _text(request_id))
            status, answer, extra = failure.status, failure.body, failure.headers
        if status != 202:
            media_type = _PROBLEM
            self._times.failed[status] += 1
        if extra:
            more = [*more, *_encoded(extra)]
        took_s = monotonic() - body.begun_at
        # As `Histogram.observe` does, at half of its cost.
        times = self._times.times
        times.counts[bisect_left(times.bounds, took_s)] += 1
        times.total += took_s
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", media_type),
                    (b"content-length", b"%d" % len(answer)),
                    *more,
                ],
            }
        )
        await send({"type": "http.response.body", "body": answer})

    def _may_send(self, headers: dict[bytes, bytes], subject: str) -> bool:
        principal = self._access.cached(headers.get(b"authorization", b"").decode("latin-1"))
        return principal is not None and self._route.may(principal, subject)
