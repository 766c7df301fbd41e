"""Fixes as prebuilt HTTP requests with a hole for the time. Pure.

What costs time is done before the measurement: a request is a list of pieces, and sending one is
`stamp.join(pieces)`. The stamp is the fix's `recorded_at` as epoch seconds with six decimals: it
makes every fix one of its own, and a watcher reads from it when the fix should have been sent.
"""

from collections.abc import Iterable, Sequence

import orjson

from bench.load.workload import Fix

# 1764000000.123456: ten digits until the year 2286.
STAMP_BYTES = 17

Pieces = tuple[bytes, ...]


def stamp_of(epoch_s: float) -> bytes:
    """The hole's filling."""
    return b"%.6f" % epoch_s


def one(fix: Fix, host: str, token: str = "") -> Pieces:
    """POST one, with a token if there is one."""
    body = _open(fix.values())
    path = f"/api/v1/drivers/{fix.driver_id}/location"
    return (_head(path, host, len(body) + STAMP_BYTES + 1, token) + body, b"}")


def many(fixes: Sequence[Fix], host: str) -> Pieces:
    """POST many, all with the same stamp: no driver may be in it twice."""
    opened = [_open({"driver_id": fix.driver_id, **fix.values()}) for fix in fixes]
    pieces = [b'{"locations":[' + opened[0], *(b"}," + part for part in opened[1:]), b"}]}"]
    size = sum(map(len, pieces)) + STAMP_BYTES * len(fixes)
    pieces[0] = _head("/api/v1/drivers/locations", host, size) + pieces[0]
    return tuple(pieces)


def get(path: str, host: str) -> Pieces:
    """GET, which has no hole."""
    return (f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode(),)


def group(fixes: Iterable[Fix], size: int, count: int) -> list[list[Fix]]:
    """`count` lists of `size` fixes, in their order."""
    source = iter(fixes)
    return [[next(source) for _ in range(size)] for _ in range(count)]


def _open(values: dict[str, object]) -> bytes:
    """The JSON object up to the value of its last field, the time."""
    return orjson.dumps(values)[:-1] + b',"recorded_at":'


def _head(path: str, host: str, size: int, token: str = "") -> bytes:
    credential = f"Authorization: Bearer {token}\r\n" if token else ""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"{credential}Content-Length: {size}\r\n\r\n"
    ).encode()
