"""The sender against a server that answers as it is told: what is counted, repeated, given up."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from common.errors import ConfigError
from deploy.tools.traffic import sender as sending
from deploy.tools.traffic.sender import Sender, Unreachable

LIMIT = {"field": "rate", "detail": "too fast for this driver; try again in 2 s"}
ERRORS_MAX = 4


class _Script:
    """Judges bodies: `lists` of refused driver ids by what is wrong with them."""

    def __init__(self) -> None:
        self.bodies: list[list[str]] = []
        self.refused: set[str] = set()
        # Driver ids that are too fast, and how often still.
        self.early: dict[str, int] = {}
        # Answers that come first, whatever is sent: status and Retry-After.
        self.first: list[tuple[int, str]] = []
        self.fixes_max = 1000

    def answer(self, drivers: list[str]) -> tuple[int, dict[str, str], dict[str, Any]]:
        """Status, headers and body."""
        self.bodies.append(drivers)
        if self.first:
            status, retry_after = self.first.pop(0)
            headers = {"Retry-After": retry_after} if retry_after else {}
            return status, headers, {"detail": "not now"}
        if len(drivers) > self.fixes_max:
            return 422, {}, {"detail": f"the body holds {len(drivers)} fixes"}
        errors = []
        for index, driver in enumerate(drivers):
            if driver in self.refused:
                errors.append({"index": index, "field": "latitude", "detail": "is wrong"})
            elif self.early.get(driver, 0) > 0:
                self.early[driver] -= 1
                errors.append({"index": index, **LIMIT})
        accepted = len(drivers) - len(errors)
        shown = errors[:ERRORS_MAX]
        if accepted == 0:
            return 422, {"Retry-After": "2"}, {"detail": "none", "errors": shown}
        body = {"accepted": accepted, "rejected": len(errors), "errors": shown}
        return 202, {"Retry-After": "2"}, body


@pytest.fixture
def script() -> Iterator[tuple[_Script, str]]:
    script = _Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, headers, answer = script.answer([f["driver_id"] for f in body["locations"]])
            data = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield script, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def send(url: str, drivers: list[str]) -> tuple[Sender, list[float]]:
    """Send a fix of each driver, named after it, without waiting: the sender and its waits."""
    waits: list[float] = []
    sender = Sender(url, sleep=waits.append, say=lambda _: None)
    try:
        sender.send([{"driver_id": d} for d in drivers], [f"{d}: " for d in drivers])
    finally:
        sender.close()
    assert sender.totals.sent == sender.totals.accepted + sender.totals.refused
    return sender, waits


def test_refused_fixes_are_named_and_the_others_taken(script: tuple[_Script, str]) -> None:
    server, url = script
    server.refused = {"b"}
    totals = send(url, ["a", "b", "c"])[0].totals
    assert (totals.accepted, totals.refused) == (2, 1)
    assert totals.reasons == ["b: latitude: is wrong"]
    assert len(server.bodies) == 1


def test_an_answer_that_names_only_some_is_asked_again_in_halves(
    script: tuple[_Script, str],
) -> None:
    """Lists of errors are bounded: what is not named may be too fast only, and good later."""
    server, url = script
    drivers = [f"d{n}" for n in range(20)]
    server.refused = set(drivers[:9])
    totals = send(url, drivers)[0].totals
    assert (totals.accepted, totals.refused) == (11, 9)
    assert totals.reasons == [f"d{n}: latitude: is wrong" for n in range(9)]


def test_a_body_that_is_too_long_goes_in_halves(script: tuple[_Script, str]) -> None:
    server, url = script
    server.fixes_max = 3
    totals = send(url, [f"d{n}" for n in range(10)])[0].totals
    assert (totals.accepted, totals.refused) == (10, 0)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_refused_without_a_name_is_tried_alone(
    script: tuple[_Script, str], status: int
) -> None:
    """What broke: one body that was no JSON ended the replay; its neighbours were never tried."""
    server, url = script
    # The whole, then its first half and the first of that; the rest is taken.
    server.first = [(status, ""), (status, ""), (status, "")]
    totals = send(url, ["a", "b", "c", "d"])[0].totals
    assert (totals.accepted, totals.refused) == (3, 1)
    assert totals.reasons == ["a: not now"]


def test_what_is_too_fast_waits_as_told_and_is_taken(script: tuple[_Script, str]) -> None:
    server, url = script
    server.early = {"a": 2, "c": 1}
    sender, waits = send(url, ["a", "b", "c"])
    assert (sender.totals.accepted, sender.totals.refused) == (3, 0)
    assert server.bodies == [["a", "b", "c"], ["a", "c"], ["a"]]
    assert waits == [2.0, 2.0]


def test_what_is_always_too_fast_is_given_up(
    script: tuple[_Script, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What broke: it was sent again for ever."""
    server, url = script
    server.early = {"a": 10**9}
    monkeypatch.setattr(sending, "PATIENCE_S", 1.0)
    with pytest.raises(Unreachable, match="too fast"):
        send(url, ["a"])


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_a_server_that_cannot_now_is_asked_again(script: tuple[_Script, str], status: int) -> None:
    server, url = script
    server.first = [(status, "7"), (status, "")]
    sender, waits = send(url, ["a"])
    assert (sender.totals.accepted, sender.totals.retries) == (1, 2)
    assert waits[0] == 7.0
    assert 0 < waits[1] < 1


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_server_that_never_will_ends_it(script: tuple[_Script, str], status: int) -> None:
    server, url = script
    server.first = [(status, "")]
    with pytest.raises(Unreachable, match=f"answered {status}"):
        send(url, ["a", "b"])
    assert len(server.bodies) == 1


def test_a_server_that_is_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PATIENCE_S", 0.0)
    with pytest.raises(Unreachable, match="gave up"):
        send("http://127.0.0.1:1", ["a"])


@pytest.mark.parametrize(
    "url", ["", "ftp://x", "http://", "127.0.0.1:8002", "http://h:port", "http://["]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--url"):
        Sender(url)
