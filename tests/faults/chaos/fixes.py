"""Fixes for the load: a seeded mix of good, late, oddly clocked and impossible ones. Pure.

Each fix has a number that travels in `accuracy`, so that a row, a frame or a live position can be
told from any other without trusting the identity (driver and time) that is under test.
"""

import json
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND_US = 1_000_000
HOUR_US = 3600 * SECOND_US
# Kind → how many of a hundred. `bad_*` must be refused; all others are good.
MIX = {
    "now": 66,
    "late": 10,
    "future": 5,
    "zone": 5,
    "epoch_ms": 6,
    "epoch_s": 4,
    "bad_1970": 1,
    "bad_2099": 1,
    "bad_place": 2,
}


@dataclass(frozen=True, slots=True)
class Fix:
    """One fix; `stamp` is how its time is written."""

    number: int
    driver: str
    recorded_us: int
    kind: str
    stamp: str | int
    order: str | None

    @property
    def is_good(self) -> bool:
        """Whether it may be accepted."""
        return not self.kind.startswith("bad_")

    def body(self) -> dict[str, object]:
        """What is sent."""
        body: dict[str, object] = {
            "latitude": 99.0 if self.kind == "bad_place" else 53.0 + self.number % 1000 / 1000,
            "longitude": -2.9,
            "accuracy": self.number,
            "recorded_at": self.stamp,
        }
        if self.order is not None:
            body["order_id"] = self.order
        return body


class Fixes:
    """Makes fixes. No two of a driver have the same time, so each of them must become a row."""

    def __init__(self, seed: int, drivers: int) -> None:
        self._rng = random.Random(seed)
        self._drivers = drivers
        self._next = 1
        self._used: set[tuple[str, int]] = set()

    def make(self, now_us: int) -> Fix:
        """A fix of a random driver, of a random kind."""
        kind = self._rng.choices(tuple(MIX), tuple(MIX.values()))[0]
        driver = f"c-{self._rng.randrange(self._drivers)}"
        return self._fix(driver, kind, now_us)

    def make_watched(self, index: int, now_us: int) -> Fix:
        """A plain fix of a driver whose order is watched."""
        return self._fix(watched_driver(index), "now", now_us, order=watched_order(index))

    def _fix(self, driver: str, kind: str, now_us: int, order: str | None = None) -> Fix:
        # As if the clock had never been set.
        at_us = self._next if kind == "bad_1970" else now_us + self._offset_us(kind)
        step_us = {"epoch_ms": 1000, "epoch_s": SECOND_US}.get(kind, 1)
        at_us -= at_us % step_us
        while (driver, at_us) in self._used:
            # Backwards: never later than it is made, which would be another kind.
            at_us -= step_us
        self._used.add((driver, at_us))
        number, self._next = self._next, self._next + 1
        return Fix(number, driver, at_us, kind, self._stamp(kind, at_us), order)

    def _offset_us(self, kind: str) -> int:
        if kind == "late":
            return -self._rng.randrange(SECOND_US, HOUR_US)
        if kind == "future":
            return self._rng.randrange(SECOND_US, HOUR_US)
        if kind == "bad_2099":
            return 73 * 365 * 24 * HOUR_US
        return 0

    def _stamp(self, kind: str, at_us: int) -> str | int:
        if kind == "epoch_ms":
            return at_us // 1000
        if kind == "epoch_s":
            return at_us // SECOND_US
        hours = self._rng.choice((-9, -3, 1, 2, 12)) if kind == "zone" else 0
        when = EPOCH + timedelta(microseconds=at_us)
        return when.astimezone(timezone(timedelta(hours=hours))).isoformat()


def watched_driver(index: int) -> str:
    """The driver of a watched order."""
    return f"w-{index}"


def watched_order(index: int) -> str:
    """The order that is watched."""
    return f"chaos-{index}"


def poison(number: int, rng: random.Random) -> bytes:
    """Bytes that no row can be made of; `chaos-poison-<number>.` is in all of them."""
    mark = f"chaos-poison-{number}."
    good = {
        "driver_id": mark,
        "latitude": 1.0,
        "longitude": 2.0,
        "recorded_at": "2026-01-01T00:00:00Z",
        "received_at": "2026-01-01T00:00:00Z",
    }
    choices = (
        b"\x00\xff\xfe" + mark.encode(),
        json.dumps(good)[:60].encode(),
        json.dumps({**good, "latitude": "north"}).encode(),
        json.dumps({**good, "latitude": 999.0}).encode(),
        json.dumps({**good, "longitude": -500.0}).encode(),
        json.dumps({**good, "recorded_at": "2026-01-01T00:00:00"}).encode(),
        json.dumps({**good, "driver_id": mark + "\x00"}).encode(),
        json.dumps({**good, "driver_id": mark + "x" * 20_000}).encode(),
        json.dumps({**good, "speed": float("nan")}).encode(),
        b"[" * 5000 + mark.encode(),
    )
    return rng.choice(choices)


def poison_number(payload: bytes) -> int | None:
    """The number in poison's bytes; None: this was no poison of ours."""
    _, mark, rest = payload.partition(b"chaos-poison-")
    digits = rest.partition(b".")[0]
    return int(digits) if mark and digits.isdigit() else None
