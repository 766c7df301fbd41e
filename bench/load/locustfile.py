"""Locust users for Fleetline: drivers, depots that send for many, and customers who watch.

With the web page: `locust -f bench/load/locustfile.py --host http://127.0.0.1:8002`
Without: `… --headless -u 1000 -r 100 -t 1m Driver Customer`
A shape: `LOCUST_SHAPE=ramp locust …` or `LOCUST_SHAPE=burst`.

A driver sends every 5 seconds. A customer's samples are called `POST → frame`: the time from the
`recorded_at` of a fix, which drivers set when they send, to its frame; both on one clock, so run
drivers and customers on one machine, or on machines whose clocks agree.
"""

import itertools
import os
import random
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, LoadTestShape, User, constant_pacing, events, task

from bench.load.frames import CLOSE, PING, TEXT, Stamps, pong, split, upgrade
from bench.load.workload import STEP_S, Fix, streets

SEED = int(os.environ.get("LOCUST_SEED", "1"))
# Drivers of the workload; more users than this share drivers.
DRIVERS = int(os.environ.get("LOCUST_DRIVERS", "10000"))
DEPOT_FIXES = 100
RECEIVE_TIMEOUT_S = 30.0
JSON = {"Content-Type": "application/json"}

_fixes: Iterator[Fix] = streets(SEED, DRIVERS)
_customers = itertools.count()


def _body(fix: Fix) -> dict[str, object]:
    return {**fix.values(), "recorded_at": round(time.time(), 6)}


class Driver(FastHttpUser):
    """A driver: one fix every 5 seconds."""

    weight = 10
    wait_time = constant_pacing(STEP_S)

    def on_start(self) -> None:
        """Drivers do not all send in the same second."""
        time.sleep(random.uniform(0, STEP_S))

    @task
    def send(self) -> None:
        """POST one; the workload says whose turn it is."""
        fix = next(_fixes)
        self.client.post(
            f"/api/v1/drivers/{fix.driver_id}/location",
            json=_body(fix),
            name="POST one",
        )


class Depot(FastHttpUser):
    """A gateway that sends for many drivers: 100 fixes a body, a body a second."""

    weight = 1
    wait_time = constant_pacing(1.0)

    @task
    def send(self) -> None:
        """POST many."""
        fixes = [next(_fixes) for _ in range(DEPOT_FIXES)]
        body = {"locations": [{"driver_id": fix.driver_id, **_body(fix)} for fix in fixes]}
        self.client.post("/api/v1/drivers/locations", json=body, name="POST many")


class Customer(User):
    """A customer: watches one order, and notes how old each frame is."""

    weight = 10

    def on_start(self) -> None:
        """Open the socket."""
        number = next(_customers) % DRIVERS
        parts = urlsplit(self.host or "http://127.0.0.1:8002")
        host, port = parts.hostname or "127.0.0.1", parts.port or 80
        path = f"/api/v1/drivers/orders/bench-{number:06}-0/driver-location"
        self._stamps = Stamps()
        self._data = b""
        self._begun = time.time()
        self._socket = socket.create_connection((host, port), RECEIVE_TIMEOUT_S)
        self._socket.sendall(upgrade(path, f"{host}:{port}"))
        while b"\r\n\r\n" not in self._data:
            self._read()
        head, _, self._data = self._data.partition(b"\r\n\r\n")
        if b" 101 " not in head.split(b"\r\n", 1)[0]:
            raise ConnectionError(head.decode(errors="replace"))

    def on_stop(self) -> None:
        """Leave."""
        self._socket.close()

    @task
    def watch(self) -> None:
        """Take what comes; silence is no failure, since an order may have ended."""
        try:
            self._read()
        except TimeoutError:
            return
        except OSError as e:
            self._fire(0.0, 0, e)
            raise
        frames, self._data = split(self._data)
        now = time.time()
        for kind, payload in frames:
            if kind == TEXT:
                stamp = self._stamps.read(payload)
                if stamp is not None and stamp >= self._begun:
                    self._fire((now - stamp) * 1000, len(payload), None)
            elif kind == PING:
                self._socket.sendall(pong(payload))
            elif kind == CLOSE:
                self._fire(0.0, 0, ConnectionError("closed"))

    def _read(self) -> None:
        part = self._socket.recv(65_536)
        if not part:
            raise ConnectionError("the socket was closed")
        self._data += part

    @staticmethod
    def _fire(took_ms: float, size: int, error: Exception | None) -> None:
        events.request.fire(  # type: ignore[no-untyped-call]
            request_type="WS",
            name="POST → frame",
            response_time=took_ms,
            response_length=size,
            exception=error,
            context={},
        )


class Ramp(LoadTestShape):
    """Up to LOCUST_USERS users over three quarters of the time, then hold."""

    abstract = os.environ.get("LOCUST_SHAPE") != "ramp"
    users = int(os.environ.get("LOCUST_USERS", "2000"))
    seconds = float(os.environ.get("LOCUST_SECONDS", "120"))

    def tick(self) -> Any:
        """(users, users started a second), or None at the end."""
        run_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if run_s >= self.seconds:
            return None
        share = min(1.0, run_s / (self.seconds * 0.75))
        return max(1, int(self.users * share)), max(1.0, self.users / self.seconds * 2)


class Burst(LoadTestShape):
    """A quiet tenth of LOCUST_USERS, and every 30 s all of them for 10 s."""

    abstract = os.environ.get("LOCUST_SHAPE") != "burst"
    users = int(os.environ.get("LOCUST_USERS", "2000"))
    seconds = float(os.environ.get("LOCUST_SECONDS", "120"))

    def tick(self) -> Any:
        """(users, users started a second), or None at the end."""
        run_s: float = self.get_run_time()  # type: ignore[no-untyped-call]
        if run_s >= self.seconds:
            return None
        burst = run_s % 30 >= 20
        return (self.users if burst else max(1, self.users // 10)), max(1.0, self.users / 2)
