"""What nginx says when it refuses by itself: the same problem+json as ingest and fan-out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.problem import (
    ADDRESS_TOO_LONG,
    BODY_TOO_LARGE,
    HEADERS_TOO_LARGE,
    INTERNAL_ERROR,
    MALFORMED,
    MEDIA_TYPE,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    NOT_RUNNING,
    TOO_FAST,
    Problem,
    encode_problem,
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The statuses of nginx (some are its own) that one problem stands for."""

    statuses: tuple[int, ...]
    problem: Problem
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)


_LATER = {"Retry-After": "1"}
REFUSALS = (
    # 495 to 497: something about TLS, or plain HTTP in its place. 494: a head too large.
    Refusal((400, 412, 416, 421, 495, 496, 497), MALFORMED, "the request is not well-formed HTTP"),
    Refusal((403, 404), NOT_FOUND, "there is nothing here"),
    Refusal((405,), METHOD_NOT_ALLOWED, "nothing here takes this method", {"Allow": "GET, HEAD"}),
    Refusal((413,), BODY_TOO_LARGE, "the body is too large"),
    Refusal((414,), ADDRESS_TOO_LONG, "the address is too long"),
    Refusal((494,), HEADERS_TOO_LARGE, "the headers are too large"),
    Refusal((429,), TOO_FAST, "too many requests of this address at once", _LATER),
    Refusal((500,), INTERNAL_ERROR, "the front door failed"),
    Refusal((501, 505), NOT_IMPLEMENTED, "this form of HTTP is not spoken here"),
    Refusal(
        (502, 503, 504),
        NOT_RUNNING,
        "this part of the service is not running now, try again",
        _LATER,
    ),
)

# nginx measures a request's body again where it is sent on to, and these places take none.
_BLOCK = """\
        error_page {statuses} ={status} {path};
        location = {path} {{
            internal;
            client_max_body_size 0;
            default_type {media_type};
            {headers}
            return {status} '{body}';
        }}
"""


def error_pages() -> str:
    """nginx's blocks for all of them."""
    return "".join(_block(refusal) for refusal in REFUSALS).rstrip()


def _block(refusal: Refusal) -> str:
    problem = refusal.problem
    headers = {"Cache-Control": "no-store", **refusal.headers}
    return _BLOCK.format(
        statuses=" ".join(str(status) for status in refusal.statuses),
        status=problem.status,
        path=f"/.error/{problem.name}",
        media_type=MEDIA_TYPE,
        headers="\n            ".join(f'add_header {k} "{v}" always;' for k, v in headers.items()),
        body=encode_problem(problem, refusal.detail).decode(),
    )
