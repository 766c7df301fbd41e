"""The head of a request: its line and its fields, read strictly. Pure.

This port speaks just enough HTTP to answer a plain GET and to begin a WebSocket. Every fault is a
`Rejected` with a constant text: what a stranger sent is never repeated.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from common.problem import HEADERS_TOO_LARGE, MALFORMED, METHOD_NOT_ALLOWED, NOT_IMPLEMENTED
from fanout.sockets.answers import Rejected

# Bytes of a head. The front door passes up to 8 KB of address and as much of each field; cookies,
# which are what makes heads large, are dropped there.
HEAD_BYTES_MAX: Final = 16_384
# Fields of a head; browsers send about twenty.
FIELDS_MAX: Final = 100
END: Final = b"\r\n\r\n"

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!-~]+) HTTP/([0-9])\.([0-9])")
_FIELDS: Final = re.compile(rb"(?:\r\n" + _TOKEN + rb":[\t -~\x80-\xff]*)*")


@dataclass(frozen=True, slots=True)
class Head:
    """A GET or HEAD. Names of `headers` are lower case; a repeated field is one, with commas."""

    target: str
    headers: Mapping[str, str]
    # Whether it may become a socket: a GET of HTTP/1.1.
    may_upgrade: bool


def read_head(raw: bytes) -> Head:
    """Read a head, without the blank line that ends it. Raises `Rejected`."""
    line, separator, fields = raw.partition(b"\r\n")
    read = _LINE.fullmatch(line)
    if read is None:
        raise _malformed("the request line is not well-formed HTTP")
    method, target, major, minor = read.groups()
    if major != b"1":
        raise Rejected(NOT_IMPLEMENTED, "HTTP/1.1 is spoken here", unread=True)
    if method not in (b"GET", b"HEAD"):
        raise Rejected(
            METHOD_NOT_ALLOWED,
            "this address takes GET alone",
            headers={"Allow": "GET, HEAD"},
            unread=True,
        )
    headers = _read_fields(separator + fields)
    if "transfer-encoding" in headers or headers.get("content-length", "0").strip("0"):
        raise _malformed("a GET has no body here")
    may_upgrade = method == b"GET" and minor != b"0"
    return Head(target.decode("ascii"), headers, may_upgrade=may_upgrade)


def _read_fields(raw: bytes) -> dict[str, str]:
    """The fields of a head, each behind the end of a line."""
    # All at once: what is matched line by line takes twice as long.
    if _FIELDS.fullmatch(raw) is None:
        raise _malformed("a header field is not well-formed HTTP")
    lines = raw.decode("latin-1").split("\r\n")[1:]
    if len(lines) > FIELDS_MAX:
        raise too_large()
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def too_large() -> Rejected:
    """The refusal of a head beyond the limits above."""
    return Rejected(
        HEADERS_TOO_LARGE,
        f"the head of a request may have {HEAD_BYTES_MAX} bytes and {FIELDS_MAX} fields",
        unread=True,
    )


def _malformed(detail: str) -> Rejected:
    return Rejected(MALFORMED, detail, unread=True)
