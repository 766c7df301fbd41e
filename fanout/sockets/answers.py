"""Plain HTTP answers on the sockets' port: health, and refusals before the upgrade. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from common.errors import Fault, FleetlineError
from common.problem import MEDIA_TYPE, Problem, encode_problem, faults_listed


@dataclass(frozen=True, slots=True)
class PlainAnswer:
    """A whole HTTP answer, after which the connection ends."""

    status: int
    payload: bytes
    # Whether more of the request may follow: it is read and dropped before the connection ends,
    # since closing on unread bytes is a reset that can overtake the answer.
    unread: bool = False


class Rejected(FleetlineError):
    """A request that becomes no socket: the problem it is answered with."""

    def __init__(
        self,
        problem: Problem,
        detail: str,
        *,
        faults: tuple[Fault, ...] = (),
        headers: Mapping[str, str] | None = None,
        unread: bool = False,
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.faults = faults
        self.headers = headers or {}
        self.unread = unread

    def answer(self) -> PlainAnswer:
        """The problem as RFC 9457 says."""
        body = encode_problem(self.problem, self.detail, faults_listed(self.faults))
        status = self.problem.status
        return PlainAnswer(
            status, encode_answer(status, body, MEDIA_TYPE, self.headers), self.unread
        )


def json_answer(status: int, body: dict[str, Any]) -> PlainAnswer:
    """A JSON body."""
    return PlainAnswer(status, encode_answer(status, orjson.dumps(body), "application/json", {}))


def encode_answer(status: int, body: bytes, media_type: str, headers: Mapping[str, str]) -> bytes:
    """The bytes of an answer, which no cache may keep."""
    fields = {
        "Content-Type": media_type,
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Connection": "close",
        **headers,
    }
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += (f"{name}: {value}" for name, value in fields.items())
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
