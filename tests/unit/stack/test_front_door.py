"""The front door's configuration, and drivers that move."""

import random
import re
from dataclasses import replace

import orjson
import pytest

from common.contract import REDIS_REPLY_TIMEOUT_S
from common.errors import ConfigError
from common.problem import PROBLEMS
from common.settings import load_settings
from deploy.gateway.problems import REFUSALS
from deploy.gateway.render import (
    APP_PATHS,
    FIX_ANSWER_MS,
    HEALTH_ANSWER_MS,
    UNBELIEVED,
    UPSTREAM_IDLE_S,
    Door,
    address,
    render,
)
from deploy.tools.traffic.drivers import CENTRE, REACH_DEG, make_drivers

DOOR = Door(
    listen="127.0.0.1:1", ingest="127.0.0.1:2", fanout="127.0.0.1:3",
    batch_body_bytes=1_048_576, body_bytes=16_384, body_timeout_s=10, answer_s=15,
    workers=2, connections=1000,
)  # fmt: skip


def test_all_names_are_filled_in_and_dollars_stay() -> None:
    text = render(DOOR)
    assert "listen 127.0.0.1:1 " in text
    assert "$http_upgrade" in text
    assert "@" not in text


def blocks(text: str, name: str) -> list[str]:
    """The innermost content of every block that begins with `name`, of any depth."""
    found = []
    for match in re.finditer(rf"(?m)^ *{name}[^;{{}}]*{{", text):
        depth, end = 1, match.end()
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        found.append(text[match.end() : end - 1])
    return found


def test_no_location_forgets_a_header_that_names_an_address() -> None:
    # Each block had lines of its own, and one of them passed a client's X-Real-IP on.
    text = render(DOOR)
    (server,) = blocks(text, "server ")
    for location in blocks(server, "location"):
        assert "proxy_set_header" not in location
        server = server.replace(location, "")
    headers = dict(re.findall(r"(?m)^ *proxy_set_header (\S+) (\S+);$", server))
    assert headers["X-Real-IP"] == "$remote_addr"
    assert headers["Cookie"] == '""'
    assert {name for name, value in headers.items() if value == '""'} == {*UNBELIEVED, "Cookie"}
    assert {"Forwarded", "X-Forwarded-For", "X-Client-IP", "True-Client-IP"} < headers.keys()
    assert text.count("proxy_set_header") == len(headers)


def test_nothing_that_belongs_to_a_request_is_logged() -> None:
    text = render(DOOR)
    (http,) = blocks(text, "http ")
    assert re.findall(r"(?:error|access)_log [^;]+", http) == [
        "access_log off", "error_log /dev/null emerg",
    ]  # fmt: skip
    assert re.findall(r"error_log [^;]+", text.replace(http, "")) == ["error_log stderr warn"]


def test_refusals_are_problems_of_the_table() -> None:
    text = render(DOOR)
    bodies = [orjson.loads(body) for body in re.findall(r"return \d+ '({\"type\".*})';", text)]
    assert len(bodies) == len(REFUSALS)
    known = {(problem.type, problem.status, problem.title) for problem in PROBLEMS}
    for body in bodies:
        assert (body["type"], body["status"], body["title"]) in known
        assert body["detail"]
    assert len({s for refusal in REFUSALS for s in refusal.statuses}) == sum(
        len(refusal.statuses) for refusal in REFUSALS
    )


def test_large_bodies_may_come_where_apps_send_them() -> None:
    from ingest.apps.phone_apps import APPS

    assert {f"/{path}" for path in APP_PATHS} == {app.path for app in APPS}


def test_only_named_proxies_speak_for_others(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "real_ip" not in render(DOOR)
    text = render(replace(DOOR, trusted_proxies=("10.0.0.0/8", "::1/128")))
    assert "set_real_ip_from 10.0.0.0/8;" in text
    assert "real_ip_header X-Forwarded-For;" in text
    for odd in ("10.0.0.1/8", "example.org", "10.0.0.1; include /etc/passwd", "all"):
        with pytest.raises(ConfigError, match="TRUSTED_PROXIES"):
            load_settings(trusted_proxies=odd)
    assert load_settings(trusted_proxies="10.0.0.1, fd00::/8").trusted_proxies


def test_tls_is_said_only_with_a_certificate() -> None:
    closed = render(replace(DOOR, tls=True))
    assert "listen 127.0.0.1:1 ssl backlog" in closed
    assert "ssl_certificate tls/cert.pem;" in closed
    assert "Strict-Transport-Security" in closed
    assert "ssl" not in render(DOOR)
    assert "Strict-Transport-Security" not in render(DOOR)


def test_addresses() -> None:
    assert address("127.0.0.1", 80) == "127.0.0.1:80"
    assert address("::1", 80) == "[::1]:80"


def test_drivers_are_the_same_for_the_same_seed_and_stay_near() -> None:
    def drive(seed: int) -> list[dict[str, object]]:
        rng = random.Random(seed)
        fleet = make_drivers(20, rng)
        for now_s in range(0, 7200, 10):
            for driver in fleet:
                driver.move(float(now_s), rng)
        assert all(abs(d.latitude - CENTRE[0]) < REACH_DEG * 1.5 for d in fleet)
        return [d.fix("t") for d in fleet]

    assert drive(1) == drive(1)
    assert drive(1) != drive(2)


def test_times_and_limits_fit_those_of_ingest(monkeypatch, tmp_path) -> None:
    from ingest.resources.health import PROBE_TIMEOUT_S
    from ingest.serve import HEADER_TIMEOUT_MS

    monkeypatch.chdir(tmp_path)
    # Else nginx hands a request to a connection that ingest is closing.
    assert UPSTREAM_IDLE_S * 1000 < HEADER_TIMEOUT_MS
    # Else the front door speaks before ingest can say what is wrong.
    assert REDIS_REPLY_TIMEOUT_S * 1000 < FIX_ANSWER_MS < 2000
    assert PROBE_TIMEOUT_S * 1000 < HEALTH_ANSWER_MS < 1000
