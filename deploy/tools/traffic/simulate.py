"""`fleetline simulate`: drivers with orders who move and send, at a rate, through the HTTP API."""

import random
import sys
import time
from datetime import UTC, datetime

from common.processes.signals import stop_as_interrupt
from deploy.tools.traffic.drivers import SimulatedDriver, make_drivers
from deploy.tools.traffic.register import register, simulated_orders
from deploy.tools.traffic.sender import BODY_FIXES_MAX, Sender, Totals, Unreachable

# What is due within this time goes as one body: steps that no eye sees on a map.
TICK_S = 0.1
REPORT_EVERY_S = 5.0


def run(
    *,
    drivers: int,
    rate: float,
    url: str,
    seconds: float | None,
    seed: int,
    token: str = "",
    register_orders: bool = False,
) -> int:
    """Send until `seconds` are over or a stop signal comes. Returns the exit status."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret is drawn
    fleet = make_drivers(drivers, rng)
    sender = Sender(url, token=token)
    begin_s = time.monotonic()
    for driver in fleet:
        driver.moved_at_s = begin_s
    status = 0
    try:
        with stop_as_interrupt():
            if register_orders:
                print(register(simulated_orders(fleet, datetime.now(UTC)), url, token), flush=True)
            _send(fleet, rate, sender, rng, None if seconds is None else begin_s + seconds)
    except KeyboardInterrupt:
        pass
    except Unreachable as e:
        print(f"fleetline: {e}", file=sys.stderr)
        status = 1
    finally:
        sender.close()
    print(_line(sender.totals, time.monotonic() - begin_s), flush=True)
    for reason in sender.totals.reasons:
        print(f"  {reason}")
    return status or (1 if sender.totals.refused else 0)


def _send(
    fleet: list[SimulatedDriver],
    rate: float,
    sender: Sender,
    rng: random.Random,
    until_s: float | None,
) -> None:
    begin_s = reported_s = time.monotonic()
    # `done` counts fixes that were sent, and those that are left out after a pause of the server,
    # so that no burst follows it.
    done = 0
    next_driver = 0
    while until_s is None or time.monotonic() < until_s:
        now_s = time.monotonic()
        due = int((now_s - begin_s) * rate) + 1 - done
        if due > max(BODY_FIXES_MAX, rate):
            done += due - int(rate)
            due = int(rate)
        for first in range(0, due, BODY_FIXES_MAX):
            count = min(BODY_FIXES_MAX, due - first)
            sender.send(_body(fleet, next_driver, count, rng))
            next_driver = (next_driver + count) % len(fleet)
            done += count
        if now_s - reported_s >= REPORT_EVERY_S:
            reported_s = now_s
            print(_line(sender.totals, now_s - begin_s), flush=True)
        time.sleep(max(0.0, now_s + TICK_S - time.monotonic()))


def _body(
    fleet: list[SimulatedDriver], first: int, count: int, rng: random.Random
) -> list[dict[str, object]]:
    """Fixes of `count` drivers from the `first` on; a driver who comes twice has two times."""
    now_s = time.monotonic()
    fixes = []
    for step in range(count):
        driver = fleet[(first + step) % len(fleet)]
        driver.move(now_s, rng)
        stamp = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        fixes.append(driver.fix(stamp))
    return fixes


def _line(totals: Totals, elapsed_s: float) -> str:
    rate = totals.accepted / max(elapsed_s, 0.001)
    return (
        f"sent {totals.sent}, accepted {totals.accepted}, refused {totals.refused}, "
        f"{rate:.0f} a second"
    )
