"""Sends bodies of fixes to the batch endpoint, one after the other, over one connection.

The standard library's HTTP client does: no dependency brings one, and a body of hundreds of fixes
a request needs no concurrency. A body is sent again unchanged after 503, 429 or a cut: every fix
carries its `recorded_at`, so what was already taken is not stored twice.
"""

import http.client
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from common.backoff import Backoff
from common.errors import ConfigError, FleetlineError

PATH = "/api/v1/drivers/locations"
# The API's limit; at ~250 bytes a fix the body stays far below its limit in bytes too.
BODY_FIXES_MAX = 1000
TIMEOUT_S = 15.0
# A server that is down for longer than this ends the sending.
PATIENCE_S = 60.0
RETRY_AFTER_MAX_S = 30.0
# Reasons that are kept for the report.
REASONS_MAX = 10


class Unreachable(FleetlineError):
    """The API did not take a body within the patience, or answers that it never will."""


@dataclass(slots=True)
class Totals:
    """What became of the fixes."""

    sent: int = 0
    accepted: int = 0
    refused: int = 0
    retries: int = 0
    reasons: list[str] = field(default_factory=list)

    def refuse(self, count: int, reasons: Sequence[str]) -> None:
        """Count refused fixes and keep the first reasons."""
        self.refused += count
        self.reasons += reasons[: max(0, REASONS_MAX - len(self.reasons))]


class Sender:
    """One keep-alive connection to the API at `url`."""

    def __init__(
        self,
        url: str,
        *,
        token: str = "",
        sleep: Callable[[float], None] = time.sleep,
        say: Callable[[str], None] = lambda text: print(text, file=sys.stderr, flush=True),
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigError(f"--url: {url!r} is not an http:// or https:// address")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=TIMEOUT_S)
        self._path = parts.path.rstrip("/") + PATH
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._sleep = sleep
        self._say = say
        self._host = parts.netloc.rpartition("@")[2]
        self._backoff = Backoff(0.1, 2.0)
        self.totals = Totals()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(self, fixes: Sequence[Mapping[str, object]]) -> None:
        """Send one body of at most BODY_FIXES_MAX fixes and count. Raises `Unreachable`.

        What is refused for its driver's rate alone is sent again until it is taken.
        """
        self.totals.sent += len(fixes)
        while fixes:
            body = json.dumps({"locations": fixes}, separators=(",", ":")).encode()
            status, wait_s, answer = self._post_until_answered(body)
            if status not in {202, 422}:
                raise Unreachable(f"{self._path} answered {status}: {answer.get('detail', '')}")
            early = [fixes[index] for index in _too_fast(answer) if index < len(fixes)]
            found = answer.get("accepted") if status == 202 else 0
            accepted = found if isinstance(found, int) else len(fixes)
            self.totals.accepted += accepted
            refused = len(fixes) - accepted - len(early)
            if refused > 0:
                self.totals.refuse(refused, _reasons(answer))
            fixes = early
            if fixes:
                self.totals.retries += 1
                self._sleep(wait_s)

    def _post_until_answered(self, body: bytes) -> tuple[int, float, dict[str, object]]:
        deadline_s = time.monotonic() + PATIENCE_S
        attempt = 0
        while True:
            trouble, wait_s = "", self._backoff.delay_s(attempt)
            try:
                status, retry_after, answer = self._post(body)
                if retry_after.isdigit():
                    wait_s = min(float(retry_after), RETRY_AFTER_MAX_S)
                if status not in {429, 502, 503, 504}:
                    return status, wait_s, answer
                trouble = f"{status} {answer.get('detail', '')}"
            except (OSError, http.client.HTTPException) as e:
                self._connection.close()
                trouble = str(e) or type(e).__name__
            if attempt == 0:
                self._say(f"{self._host} does not take fixes now ({trouble}); trying again")
            if time.monotonic() + wait_s > deadline_s:
                raise Unreachable(f"gave up after {PATIENCE_S:g} s: {trouble}")
            attempt += 1
            self.totals.retries += 1
            self._sleep(wait_s)

    def _post(self, body: bytes) -> tuple[int, str, dict[str, object]]:
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        text = response.read()
        try:
            answer = json.loads(text)
        except ValueError:
            answer = {}
        if not isinstance(answer, dict):
            answer = {}
        return response.status, response.headers.get("Retry-After", ""), answer


def _too_fast(answer: Mapping[str, object]) -> list[int]:
    """The places that were refused for their drivers' rate."""
    errors = answer.get("errors")
    found = [e for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    return [e["index"] for e in found if e.get("field") == "rate" and isinstance(e["index"], int)]


def _reasons(answer: Mapping[str, object]) -> list[str]:
    errors = answer.get("errors")
    if not isinstance(errors, list):
        return [str(answer.get("detail", "refused"))]
    return [
        f"{error.get('field', '')}: {error.get('detail', '')}"
        for error in errors
        if isinstance(error, dict)
    ]
