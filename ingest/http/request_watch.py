"""How requests went: their answers and times by route, for metrics; their ids, for logs.

What the fast path answers is timed there (`FastTimes`); all that goes through Falcon is counted
by this middleware.
"""

from collections import Counter
from collections.abc import Mapping
from time import monotonic

import falcon
import falcon.asgi

from common.metrics.histogram import Histogram
from common.metrics.names.ingest import REQUEST_SECONDS, REQUESTS
from common.metrics.snapshot import Snapshot
from ingest.http.body import SCOPE_KEY, Body
from ingest.http.request_id import HEADER, valid_request_id

_METHODS = frozenset(falcon.HTTP_METHODS)


class FastTimes:
    """Of one path that is answered fast: all times, and the answers that are not 202 by status."""

    __slots__ = ("failed", "times")

    def __init__(self) -> None:
        self.failed: Counter[int] = Counter()
        self.times = Histogram(REQUEST_SECONDS)


class RequestWatch:
    """A Falcon middleware, to stand before all others; gives what it counts.

    `fast` are the times of paths that are answered fast, by their templates.
    """

    def __init__(self, fast: Mapping[str, FastTimes]) -> None:
        self._fast = fast
        # By route, method and status; by route.
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._times: dict[str, Histogram] = {}

    async def process_response(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Count an answer."""
        # A template of ours, never what stood in its place; and no word that a client invents.
        route = req.uri_template or "unknown"
        method = req.method if req.method in _METHODS else "other"
        self._answers[route, method, resp.status_code] += 1
        times = self._times.get(route)
        if times is None:
            times = self._times[route] = Histogram(REQUEST_SECONDS)
        body: Body = req.scope[SCOPE_KEY]
        times.observe(monotonic() - body.begun_at)
        if request_id := valid_request_id(req.get_header(HEADER)):
            resp.set_header(HEADER, request_id)

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        answers = Counter(self._answers)
        for route, fast in self._fast.items():
            answers[route, "POST", 202] += sum(fast.times.counts) - fast.failed.total()
            for status, count in fast.failed.items():
                answers[route, "POST", status] += count
            snapshot.put_histogram(REQUEST_SECONDS, fast.times, route)
        for (name, method, status), count in answers.items():
            snapshot.put(REQUESTS, count, name, method, status)
        for name, histogram in self._times.items():
            snapshot.add_histogram(REQUEST_SECONDS, histogram, name)
