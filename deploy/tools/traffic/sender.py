"""Sends bodies of fixes to the batch endpoint, one after the other, over one connection.

The standard library's HTTP client does: no dependency brings one, and a body of hundreds of fixes
a request needs no concurrency. A body is sent again unchanged after 503, 429 or a cut: every fix
carries its `recorded_at`, so what was already taken is not stored twice. For the same reason a
body that is refused as a whole, or whose answer does not name every refused fix, is sent again in
halves: in the end each fix has an answer of its own.
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
from deploy.tools.traffic.batch_answer import ABOUT_FIXES, NOT_NOW, BatchAnswer

PATH = "/api/v1/drivers/locations"
# The API's limit; at ~250 bytes a fix the body stays far below its limit in bytes too.
BODY_FIXES_MAX = 1000
TIMEOUT_S = 15.0
# A server that takes nothing for longer than this ends the sending.
PATIENCE_S = 60.0
RETRY_AFTER_MAX_S = 30.0
# Reasons that are kept for the report.
REASONS_MAX = 10


class Unreachable(FleetlineError):
    """The API did not take a body within the patience, or answers that it never will."""


@dataclass(slots=True)
class Totals:
    """What became of the fixes that have an answer."""

    accepted: int = 0
    refused: int = 0
    # Not sent at all, because of what they say.
    skipped: int = 0
    retries: int = 0
    reasons: list[str] = field(default_factory=list)

    @property
    def sent(self) -> int:
        """All of them."""
        return self.accepted + self.refused + self.skipped

    def refuse(self, reasons: Sequence[str]) -> None:
        """Count refused fixes, one a reason, and keep the first reasons."""
        self.refused += len(reasons)
        self.keep(reasons)

    def skip(self, reasons: Sequence[str]) -> None:
        """Count fixes that are not sent, one a reason, and keep the first reasons."""
        self.skipped += len(reasons)
        self.keep(reasons)

    def keep(self, reasons: Sequence[str]) -> None:
        """Keep the first reasons for the report."""
        self.reasons += reasons[: max(0, REASONS_MAX - len(self.reasons))]


def connect_to(url: str, token: str = "") -> tuple[http.client.HTTPConnection, str, dict[str, str]]:
    """A connection to the API at `url`, what its paths begin with, and headers of a JSON body.

    Raises `ConfigError`; connects with the first request.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as e:
        raise ConfigError(f"--url: {e}") from e
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError(f"--url: {url!r} is not an http:// or https:// address")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    return kind(host, port, timeout=TIMEOUT_S), parts.path.rstrip("/"), headers


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
        self._connection, base, self._headers = connect_to(url, token)
        self._path = base + PATH
        self._sleep = sleep
        self._say = say
        self._host = f"{self._connection.host}:{self._connection.port}"
        self._backoff = Backoff(0.1, 2.0)
        self.totals = Totals()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def send(
        self, fixes: Sequence[Mapping[str, object]], names: Sequence[str] | None = None
    ) -> None:
        """Send at most BODY_FIXES_MAX fixes and count. Raises `Unreachable`.

        `names` are what refused ones are called in the totals' reasons. What is refused for its
        driver's rate alone is sent again until it is taken.
        """
        called = names if names is not None else [""] * len(fixes)
        bodies = [list(zip(called, fixes, strict=True))] if fixes else []
        deadline_s = time.monotonic() + PATIENCE_S
        while bodies:
            items = bodies.pop()
            count = len(items)
            answer, wait_s = self._post_until_answered([fix for _, fix in items])
            accepted, refusals = answer.accepted(count), answer.refusals(count)
            early = [items[index] for index, refusal in refusals.items() if refusal.is_early]
            if count > 1 and accepted + len(refusals) < count:
                bodies += [items[count // 2 :], items[: count // 2]]
            else:
                self.totals.accepted += accepted
                self.totals.refuse(
                    [
                        items[index][0] + refusal.text
                        for index, refusal in refusals.items()
                        if not refusal.is_early
                    ]
                )
                if early:
                    bodies.append(early)
            if early:
                deadline_s = self._wait_for_room(wait_s, deadline_s, progress=accepted > 0)

    def _wait_for_room(self, wait_s: float, deadline_s: float, *, progress: bool) -> float:
        """Wait as a driver's rate demands. Returns until when the next fix must be taken."""
        now_s = time.monotonic()
        if progress:
            deadline_s = now_s + PATIENCE_S
        elif now_s + wait_s > deadline_s:
            raise Unreachable(f"no fix was taken for {PATIENCE_S:g} s: too fast for its driver")
        self.totals.retries += 1
        self._sleep(wait_s)
        return deadline_s

    def _post_until_answered(self, fixes: list[Mapping[str, object]]) -> tuple[BatchAnswer, float]:
        """The answer about the fixes, and how long to wait where it asks for that."""
        body = json.dumps({"locations": fixes}, separators=(",", ":"), allow_nan=False).encode()
        deadline_s = time.monotonic() + PATIENCE_S
        attempt = 0
        while True:
            wait_s = self._backoff.delay_s(attempt)
            try:
                answer, retry_after = self._post(body)
                if retry_after.isdigit():
                    # Never sooner than the backoff: a server may say 0.
                    wait_s = max(wait_s, min(float(retry_after), RETRY_AFTER_MAX_S))
                if answer.status in ABOUT_FIXES:
                    return answer, wait_s
                trouble = f"{answer.status} {answer.detail()}"
                if answer.status not in NOT_NOW:
                    raise Unreachable(f"{self._path} answered {trouble}")
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

    def _post(self, body: bytes) -> tuple[BatchAnswer, str]:
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        text = response.read()
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        if not isinstance(document, dict):
            document = {}
        return BatchAnswer(response.status, document), response.headers.get("Retry-After", "")
