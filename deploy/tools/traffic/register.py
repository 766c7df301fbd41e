"""`--register-orders`: the orders of simulated or replayed drivers, as a backend registers them."""

import http.client
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from common.backoff import Backoff
from deploy.tools.trace.fix import RecordedFix
from deploy.tools.traffic.drivers import SimulatedDriver
from deploy.tools.traffic.sender import PATIENCE_S, Unreachable, connect_to

# What customers are promised, from now.
PROMISED = timedelta(minutes=30)
# Not now, but later: as for fixes.
_NOT_NOW = {429, 500, 502, 503, 504}

Wanted = Mapping[str, Mapping[str, object]]


def simulated_orders(drivers: Iterable[SimulatedDriver], now: datetime) -> Wanted:
    """Order → what is registered: from where its driver begins to where the next one does."""
    fleet = list(drivers)
    promised = (now + PROMISED).isoformat()
    return {
        driver.order_id: {
            "driver_id": driver.driver_id,
            "vehicle": "car",
            "pickup": _place(driver.latitude, driver.longitude),
            "dropoff": _place(following.latitude, following.longitude),
            "promised_at": promised,
        }
        for driver, following in zip(fleet, [*fleet[1:], *fleet[:1]], strict=True)
    }


def recorded_orders(fixes: Iterable[RecordedFix]) -> Wanted:
    """Order → what is registered: its first driver, and its first and last place in the trace."""
    orders: dict[str, dict[str, object]] = {}
    for fix in sorted(fixes, key=lambda fix: fix.recorded_at):
        order_id = fix.values.get("order_id")
        if not isinstance(order_id, str):
            continue
        place = _place(fix.values["latitude"], fix.values["longitude"])
        known = orders.setdefault(order_id, {"driver_id": fix.values["driver_id"], "pickup": place})
        if known["driver_id"] == fix.values["driver_id"]:
            known["dropoff"] = place
    return orders


def _place(latitude: object, longitude: object) -> dict[str, object]:
    return {"latitude": latitude, "longitude": longitude}


def register(
    orders: Wanted, url: str, token: str, *, sleep: Callable[[float], None] = time.sleep
) -> str:
    """Register them all; a line that says what became of them. Raises `Unreachable`."""
    connection, base, headers = connect_to(url, token)
    registered = over = 0
    try:
        for order_id, order in orders.items():
            path, body = f"{base}/api/v1/orders/{order_id}", json.dumps(order).encode()
            status = _put(connection, path, body, headers, sleep)
            registered += status in {200, 201}
            over += status == 409
    finally:
        connection.close()
    line = f"registered {registered} orders"
    return f"{line}; {over} are over, and stay so" if over else line


def _put(
    connection: http.client.HTTPConnection,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    sleep: Callable[[float], None],
) -> int:
    backoff, deadline_s, attempt = Backoff(0.1, 2.0), time.monotonic() + PATIENCE_S, 0
    while True:
        try:
            connection.request("PUT", path, body, dict(headers))
            response = connection.getresponse()
            text = response.read()
            if response.status in {200, 201, 409}:
                return response.status
            trouble = f"{response.status} {text[:200].decode(errors='replace')}"
            if response.status not in _NOT_NOW:
                raise Unreachable(f"{path} answered {trouble}")
        except (OSError, http.client.HTTPException) as e:
            connection.close()
            trouble = str(e) or type(e).__name__
        if time.monotonic() > deadline_s:
            raise Unreachable(f"gave up after {PATIENCE_S:g} s: {trouble}")
        sleep(backoff.delay_s(attempt))
        attempt += 1
