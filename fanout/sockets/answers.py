"""Plain HTTP answers on the sockets' port: health, and refusals before the upgrade."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from picows import WSUpgradeResponse, WSUpgradeResponseWithListener

from common.errors import Fault

Answer = WSUpgradeResponseWithListener


def json_answer(
    status: HTTPStatus,
    body: dict[str, Any],
    *,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Answer:
    """A JSON body; picows then closes the connection."""
    payload = orjson.dumps(body)
    named = {"Content-Type": media_type, "Cache-Control": "no-store", **(headers or {})}
    if status >= HTTPStatus.BAD_REQUEST:
        response = WSUpgradeResponse.create_error_response(status, payload, named)
    else:
        response = WSUpgradeResponse.create_ok_response(payload, named)
    return WSUpgradeResponseWithListener(response, None)


def problem(
    status: HTTPStatus,
    detail: str,
    *,
    faults: tuple[Fault, ...] = (),
    retry_after_s: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """An error as RFC 9457 says."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
    }
    if faults:
        body["errors"] = [{"field": fault.field, "detail": fault.detail} for fault in faults]
    named = dict(headers or {})
    if retry_after_s is not None:
        named["Retry-After"] = str(retry_after_s)
    return json_answer(status, body, media_type="application/problem+json", headers=named)
