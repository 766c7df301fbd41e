"""The front door's configuration, and drivers that move."""

import random
from dataclasses import replace

from deploy.gateway.render import Door, address, render
from deploy.tools.traffic import CENTRE, REACH_DEG, make_drivers

DOOR = Door(
    listen="127.0.0.1:1", ingest="127.0.0.1:2", fanout="127.0.0.1:3",
    body_bytes=1_048_576, answer_s=15, workers=2, connections=1000,
)  # fmt: skip


def test_all_names_are_filled_in_and_dollars_stay() -> None:
    text = render(DOOR)
    assert "listen 127.0.0.1:1 " in text
    assert "$http_upgrade" in text
    assert "error_page 502 504 =503 /.error/503;" in text
    assert "@@" not in text


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
