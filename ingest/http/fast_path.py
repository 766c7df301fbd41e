"""The good fix, answered without Falcon: a POST one that is as it should be.

Falcon's request, routing and response cost 8 µs, and nothing of them is needed for it. A request
that is unusual (another header, an unknown credential, a body in parts) goes to Falcon as if this
were not here. What is tried here is also answered here, a failure too: both ways word it by
`failure_of`. A driver that floods is refused at a cost of 44 µs (through Falcon 82): otherwise it
would cost more than those it is held back for.
"""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import Any, Protocol

from common.access.policy import Action, allowed
from common.ids import is_id
from common.problem import MEDIA_TYPE
from ingest.http.access import Access
from ingest.http.body import JSON, Body
from ingest.http.edge import Edge
from ingest.http.problem import COMMON_HEADERS, failure_of
from ingest.http.request_id import HEADER, valid_request_id
from ingest.http.request_watch import FastTimes

PREFIX, SUFFIX = "/api/v1/drivers/", "/location"
TEMPLATE = f"{PREFIX}{{driver_id}}{SUFFIX}"
_JSON, _PROBLEM = JSON.encode(), MEDIA_TYPE.encode()
_MEDIA_TYPES = (None, _JSON)

Headers = Sequence[tuple[bytes, bytes]]
Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def _encoded(headers: Sequence[tuple[str, str]]) -> Headers:
    return [(name.encode(), text.encode()) for name, text in headers]


_COMMON = _encoded(COMMON_HEADERS)
_REQUEST_ID = HEADER.encode()


def is_post_one(scope: Scope) -> bool:
    """Whether `scope` is a request that `FastPath` may look at."""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith(PREFIX) and path.endswith(SUFFIX)


class Taker(Protocol):
    """Takes the bytes of one fix. Raises what `failure_of` knows."""

    def take(self, driver_id: str, data: bytes) -> Awaitable[bytes]:
        """The body of the 202."""


def _text(request_id: bytes | None) -> str:
    return valid_request_id(request_id.decode("latin-1")) if request_id is not None else ""


def _with_id(request_id: bytes) -> Headers:
    return [*_COMMON, (_REQUEST_ID, request_id)] if _text(request_id) else _COMMON


class FastPath:
    """Looks at a request, and answers it or leaves it as it was."""

    def __init__(
        self, taker: Taker, access: Access, edge: Edge, bytes_max: int, times: FastTimes
    ) -> None:
        self._taker = taker
        self._access = access
        self._edge = edge
        self._bytes_max = bytes_max
        self._times = times
        self._observe = times.times.observe

    async def answer(self, scope: Scope, body: Body, send: Send) -> bool:
        """Whether it has been answered. Where not, `body` keeps what was read."""
        begun = perf_counter()
        path: str = scope["path"]
        driver_id = path[len(PREFIX) : -len(SUFFIX)]
        headers = dict(scope["headers"])
        # A header given twice is not for us to interpret.
        usual = len(headers) == len(scope["headers"]) and b"origin" not in headers
        length = int(headers.get(b"content-length", b"0"))
        if not (
            usual
            and 0 < length <= self._bytes_max
            and headers.get(b"content-type") in _MEDIA_TYPES
            and is_id(driver_id)
            and self._edge.passes(headers)
            and (not self._access.on or self._may_send(headers, driver_id))
        ):
            return False
        data = await body.begin()
        if len(data) != length or body.slow:
            return False
        status, media_type, more = 202, _JSON, _COMMON
        request_id = headers.get(_REQUEST_ID)
        if request_id is not None:
            more = _with_id(request_id)
        try:
            answer = await self._taker.take(driver_id, data)
        except Exception as e:
            failure = failure_of(e, "POST", TEMPLATE, _text(request_id))
            status, media_type, answer = failure.status, _PROBLEM, failure.body
            more = [*more, *_encoded(failure.headers)]
            self._times.failed[status] += 1
        self._observe(perf_counter() - begun)
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
        return True

    def _may_send(self, headers: dict[bytes, bytes], driver_id: str) -> bool:
        principal = self._access.cached(headers.get(b"authorization", b"").decode("latin-1"))
        return principal is not None and allowed(
            principal, Action.SEND_FIX, driver_id=driver_id, order_id=None
        )
