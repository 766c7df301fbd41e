"""Every failure as `application/problem+json` (RFC 9457), whoever noticed it.

Falcon's own refusals (no such path, wrong method) and ours leave through here, so that a client
needs one way to read a failure. A bug answers 500 with a constant text: never a traceback.
"""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
import falcon.asgi
import hiredis
import orjson

from common.errors import Fault, InvalidUpdate, Overloaded, Refused
from common.log import get
from ingest.http.access import Access

MEDIA_TYPE = "application/problem+json"
# The names of RFC 9110, as the front door has them; Python took them over in 3.13.
TITLES = {413: "Content Too Large", 414: "URI Too Long", 422: "Unprocessable Content"}
NOSNIFF = ("x-content-type-options", "nosniff")

Params = dict[str, Any]

_log = get("ingest")


class TypedResponse(falcon.asgi.Response):
    """An answer whose media type is meant, failures included: browsers must not guess another."""

    __slots__ = ()

    def __init__(self, options: falcon.ResponseOptions | None = None) -> None:
        super().__init__(options)
        self.set_header(*NOSNIFF)


def title_of(status: int) -> str:
    """The name of a status."""
    return TITLES.get(status) or HTTPStatus(status).phrase


def problem(status: int, detail: str, errors: Sequence[dict[str, object]] = ()) -> bytes:
    """The body of a failure. `errors` names the fields at fault."""
    members: dict[str, object] = {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
    }
    if errors:
        members["errors"] = list(errors)
    return orjson.dumps(members)


def faults_listed(faults: Sequence[Fault]) -> list[dict[str, object]]:
    """Faults as they stand in a problem's `errors`."""
    return [{"field": fault.field, "detail": fault.detail} for fault in faults]


def headers_of(error: Refused) -> list[tuple[str, str]]:
    """Headers of the answer beside its media type and length."""
    found = [NOSNIFF, *error.headers]
    if error.retry_after_s:
        found.append(("retry-after", str(error.retry_after_s)))
    return found


def answer(
    resp: falcon.asgi.Response,
    status: int,
    detail: str,
    errors: Sequence[dict[str, object]] = (),
) -> None:
    """Make `resp` the failure."""
    resp.status = status
    resp.content_type = MEDIA_TYPE
    resp.data = problem(status, detail, errors)


def install(app: falcon.asgi.App[Any, Any], access: Access) -> None:
    """Make every failure of `app` a problem."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(InvalidUpdate, _invalid)
    app.add_error_handler(Overloaded, _overloaded)
    app.add_error_handler(Refused, partial(_may_not, access))
    app.add_error_handler(hiredis.ReplyError, _refused)
    app.add_error_handler(Exception, _bug)


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    # Falcon reads the status of the error; only its text and media type are ours.
    resp.content_type = MEDIA_TYPE
    resp.data = problem(error.status_code, error.description or _detail(error))


def _detail(error: falcon.HTTPError) -> str:
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        return "this path does not take that method"
    if isinstance(error, falcon.HTTPNotFound):
        return "there is nothing at this path"
    return title_of(error.status_code)


async def _invalid(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: InvalidUpdate, params: Params
) -> None:
    answer(resp, error.status, error.detail, faults_listed(error.faults))


async def _may_not(
    access: Access,
    req: falcon.asgi.Request,
    resp: falcon.asgi.Response,
    error: Refused,
    params: Params,
) -> None:
    error = access.refusal(req, error)
    answer(resp, error.status, error.detail)
    resp.set_headers(headers_of(error))


async def _overloaded(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Overloaded, params: Params
) -> None:
    answer(resp, 503, error.detail)
    resp.set_header("retry-after", str(error.retry_after_s))


async def _refused(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: Params
) -> None:
    # Redis' own words may name keys and addresses: they go to the log, not to the sender.
    _log.warning("redis.refused", error=str(error), path=req.uri_template)
    await _overloaded(req, resp, Overloaded("Redis refuses for now"), params)


async def _bug(
    req: falcon.asgi.Request, resp: falcon.asgi.Response, error: Exception, params: Params
) -> None:
    _log.error("request.failed", method=req.method, path=req.uri_template, exc_info=error)
    answer(resp, 500, "an error on our side; it has been logged")
