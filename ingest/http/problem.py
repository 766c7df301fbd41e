"""Every failure of ingest as a problem of the common table, worded in one place.

Falcon's own refusals (no such path, wrong method), ours, and those of the fast path leave through
`failure_of`, so that a client needs one way to read a failure. A bug answers 500 with a constant
text: never a traceback.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import falcon
import falcon.asgi
import hiredis

from common.errors import InvalidUpdate, Overloaded, Refused
from common.log import Repeated, get
from common.problem import (
    INTERNAL_ERROR,
    MEDIA_TYPE,
    UNAVAILABLE,
    Problem,
    encode_problem,
    faults_listed,
    problem_of,
)
from ingest.http.access import Access
from ingest.http.request_id import HEADER, valid_request_id

# On every answer of ours: its media type is meant, and no cache may keep where somebody was.
COMMON_HEADERS = (("x-content-type-options", "nosniff"), ("cache-control", "no-store"))

Params = dict[str, Any]
Headers = tuple[tuple[str, str], ...]

_log = get("ingest")
_unavailable = Repeated(_log, "request.unavailable")


class ApiResponse(falcon.asgi.Response):
    """An answer with `COMMON_HEADERS`, failures included; pages and assets replace the latter."""

    __slots__ = ()

    def __init__(self, options: falcon.ResponseOptions | None = None) -> None:
        super().__init__(options)
        for name, value in COMMON_HEADERS:
            self.set_header(name, value)


class HTTPProblem(falcon.HTTPError):
    """A failure of the table that is no error of a fix: raised by resources."""

    def __init__(self, problem: Problem, detail: str, headers: Headers = ()) -> None:
        super().__init__(problem.status, description=detail, headers=dict(headers))
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that says what went wrong: status, body, headers beside media type and length."""

    status: int
    body: bytes
    headers: Headers = ()


def failure_of(error: Exception, method: str, path: str, request_id: str = "") -> Failure:
    """How `error` is answered. Logs what is trouble of ours; never raises.

    `path` is a template of the routes: what stood in its place may be a secret by mistake.
    `request_id` is what the client calls the request, see `request_id.py`.
    """
    if isinstance(error, InvalidUpdate):
        body = encode_problem(problem_of(error.status), error.detail, faults_listed(error.faults))
        return Failure(error.status, body)
    if isinstance(error, Refused):
        headers = error.headers
        if error.retry_after_s:
            headers = (*headers, ("retry-after", str(error.retry_after_s)))
        problem = error.problem or problem_of(error.status)
        return Failure(error.status, encode_problem(problem, error.detail), headers)
    if isinstance(error, hiredis.ReplyError):
        # Redis' own words may name keys and addresses: they go to the log, not to the sender.
        _log.warning("redis.refused", error=str(error), path=path, request_id=request_id)
        error = Overloaded("Redis refuses for now")
    if isinstance(error, Overloaded):
        headers = (("retry-after", str(error.retry_after_s)),)
        _unavailable.failed(why=error.detail, path=path, request_id=request_id)
        return Failure(503, encode_problem(UNAVAILABLE, error.detail), headers)
    _log.error("request.failed", method=method, path=path, request_id=request_id, exc_info=error)
    detail = "an error on our side; it has been logged"
    return Failure(500, encode_problem(INTERNAL_ERROR, detail))


def answer(
    resp: falcon.asgi.Response,
    problem: Problem,
    detail: str,
    errors: Sequence[dict[str, object]] = (),
) -> None:
    """Make `resp` the failure."""
    resp.status = problem.status
    resp.content_type = MEDIA_TYPE
    resp.data = encode_problem(problem, detail, errors)


def install(app: falcon.asgi.App[Any, Any], access: Access) -> None:
    """Make every failure of `app` a problem."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(Refused, partial(_refuse, access))
    # Also where Falcon has a handler of its own: it would print a traceback.
    for kind in (InvalidUpdate, Overloaded, hiredis.ReplyError, Exception):
        app.add_error_handler(kind, _fail)


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    # Falcon reads the status of the error; only its text and media type are ours.
    problem = error.problem if isinstance(error, HTTPProblem) else problem_of(error.status_code)
    resp.content_type = MEDIA_TYPE
    resp.data = encode_problem(problem, error.description or _detail(error, problem))


def _detail(error: falcon.HTTPError, problem: Problem) -> str:
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return "this path does not take that method"
    if isinstance(error, falcon.HTTPNotFound):
        return "there is nothing at this path"
    return problem.title


async def _refuse(
    access: Access,
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
    error: Refused,
    params: Params,
) -> None:
    await _fail(req, resp, access.refusal(req, error), params)


async def _fail(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: Params
) -> None:
    request_id = valid_request_id(req.get_header(HEADER))
    failure = failure_of(error, req.method, req.uri_template or "", request_id)
    resp.status = failure.status
    resp.content_type = MEDIA_TYPE
    resp.data = failure.body
    resp.set_headers(failure.headers)
