"""What is answered on the port of metrics: a rule from a request's head to the whole answer. Pure.

One path, no bodies, one answer a connection. Whoever reaches the port reads the numbers; where it
is on loopback only names of this machine are answered, so that no web page reads them either.
"""

from collections.abc import Callable
from http import HTTPStatus

from common.access.local_rule import LocalRule

PATH = "/metrics"
HEAD_BYTES_MAX = 8192

# From a header Accept to the page and its media type.
Render = Callable[[str], tuple[bytes, str]]


def answer(head: bytes, render: Render, rule: LocalRule | None) -> bytes:
    """The bytes to write for a request whose head is `head`."""
    lines = head.decode("latin-1").split("\r\n")
    method, _, rest = lines[0].partition(" ")
    path, _, version = rest.rpartition(" ")
    if not version.startswith("HTTP/1."):
        return _plain(HTTPStatus.BAD_REQUEST)
    headers = {
        name.strip().lower(): text.strip()
        for name, _, text in (x.partition(":") for x in lines[1:])
    }
    if rule is not None and rule.problem(
        headers.get("host", ""), headers.get("origin"), headers.get("sec-fetch-site")
    ):
        return _plain(HTTPStatus.FORBIDDEN)
    if path.partition("?")[0] != PATH:
        return _plain(HTTPStatus.NOT_FOUND)
    if method not in {"GET", "HEAD"}:
        return _plain(HTTPStatus.METHOD_NOT_ALLOWED, "Allow: GET, HEAD\r\n")
    body, media_type = render(headers.get("accept", ""))
    return _answer(HTTPStatus.OK, body, media_type, with_body=method == "GET")


def _plain(status: HTTPStatus, more: str = "") -> bytes:
    return _answer(status, f"{status.phrase}\n".encode(), "text/plain; charset=utf-8", more)


def _answer(
    status: HTTPStatus, body: bytes, media_type: str, more: str = "", *, with_body: bool = True
) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {media_type}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\n"
        f"Cache-Control: no-store\r\nConnection: close\r\n{more}\r\n"
    )
    return head.encode("latin-1") + (body if with_body else b"")


# For a page that cannot be made.
FAILED = _plain(HTTPStatus.INTERNAL_SERVER_ERROR)
