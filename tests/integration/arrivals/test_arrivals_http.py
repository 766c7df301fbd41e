"""Arrivals over HTTP, letter by letter: polling, the order, and how right they were."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.arrivals.arrival import Rest, arrival_of, encode_arrival
from common.event import LocationUpdate, encode_event
from common.keys import order_arrival_key, shard_keys, shard_of
from tests.roles.orders import put_order as put
from tests.servers.redis_cluster import AnyRedis

DROPOFF = {"latitude": 53.42, "longitude": -2.90}
FIELDS = (
    *("order_id", "driver_id", "arrival_at", "remaining_s", "remaining_m", "low_s", "high_s"),
    *("method", "computed_at", "position_age_s"),
)
ACCURACY = "fleet/arrivals/accuracy"


def drive(server: AnyRedis, driver: str, age_s: float = 0.0) -> None:
    """A position of a driver, 2.2 km from the drop-off, as the live stage leaves it."""
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    event = encode_event(driver, LocationUpdate(53.44, -2.90), when, when)
    server.command(
        "HSET", shard_keys("driver-locations", shard_of(driver, 4), 4).live, driver, event
    )


def say(server: AnyRedis, order_id: str, driver: str, age_s: float) -> None:
    """What the role said some time ago."""
    when = datetime.now(UTC) - timedelta(seconds=age_s)
    rest = Rest(600.0, 500.0, 800.0, 4000.0, "roads")
    frame = encode_arrival(arrival_of(order_id, driver, rest, when, when))
    server.command("SET", order_arrival_key(order_id), frame)


def test_without_a_drop_off_or_a_position_there_is_none(
    orders_api: httpx.Client, redis_session: AnyRedis
) -> None:
    def type_of(order_id: str) -> tuple[int, str]:
        answer = orders_api.get(f"orders/{order_id}/arrival")
        return answer.status_code, answer.json()["type"]

    assert type_of("unknown") == (404, "/problems/no-order")
    put(orders_api, "e1", driver_id="e1")
    assert type_of("e1") == (404, "/problems/no-arrival")
    put(orders_api, "e1", dropoff=DROPOFF)
    assert type_of("e1") == (404, "/problems/no-arrival")
    drive(redis_session, "e1", age_s=400)
    assert type_of("e1") == (404, "/problems/no-arrival")
    put(orders_api, "e2", dropoff=DROPOFF)
    assert type_of("e2") == (404, "/problems/no-arrival")
    assert orders_api.get("orders/e1").json()["arrival"] is None
    assert orders_api.get("orders/a%20b/arrival").status_code == 422


@pytest.mark.parametrize("ended", ["complete", "cancelled"])
def test_an_order_that_is_over_has_none(
    orders_api: httpx.Client, redis_session: AnyRedis, ended: str
) -> None:
    name = f"e3-{ended}"
    put(orders_api, name, driver_id="e3", dropoff=DROPOFF)
    drive(redis_session, "e3")
    say(redis_session, name, "e3", 1)
    if ended == "complete":
        orders_api.post(f"orders/{name}/complete")
    else:
        orders_api.post(f"orders/{name}/state", json={"state": ended})
    answer = orders_api.get(f"orders/{name}/arrival")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/order-over")
    assert orders_api.get(f"orders/{name}").json()["arrival"] is None
    # Nobody registered this one; it is over all the same.
    orders_api.post(f"orders/{name}-unregistered/complete")
    assert orders_api.get(f"orders/{name}-unregistered/arrival").status_code == 409


def test_before_the_role_has_said_anything_the_fallback_answers(
    orders_api: httpx.Client, redis_session: AnyRedis
) -> None:
    put(orders_api, "e4", driver_id="e4", dropoff=DROPOFF, vehicle="foot")
    drive(redis_session, "e4", age_s=3)
    arrival = orders_api.get("orders/e4/arrival").json()
    assert tuple(arrival) == FIELDS
    assert (arrival["order_id"], arrival["driver_id"]) == ("e4", "e4")
    assert arrival["method"] == "straight"
    assert 1500 < arrival["remaining_s"] < 3000
    assert arrival["low_s"] < arrival["remaining_s"] < arrival["high_s"]
    assert 2 < arrival["position_age_s"] < 30
    computed = datetime.fromisoformat(arrival["computed_at"])
    there = computed + timedelta(seconds=arrival["remaining_s"])
    assert datetime.fromisoformat(arrival["arrival_at"]) == there
    assert orders_api.get("orders/e4").json()["arrival"]["method"] == "straight"
    assert orders_api.head("orders/e4/arrival").status_code == 200


def test_what_the_role_said_last_stands_with_its_age_then_the_fallback(
    orders_api: httpx.Client, redis_session: AnyRedis
) -> None:
    put(orders_api, "e5", driver_id="e5", dropoff=DROPOFF)
    drive(redis_session, "e5")
    say(redis_session, "e5", "e5", 30)
    arrival = orders_api.get("orders/e5/arrival").json()
    assert (arrival["method"], arrival["remaining_s"]) == ("roads", 600)
    assert 30 <= arrival["position_age_s"] < 60
    say(redis_session, "e5", "e5", 61)
    assert orders_api.get("orders/e5/arrival").json()["method"] == "straight"
    # What was said of another driver says nothing.
    say(redis_session, "e5", "other", 1)
    assert orders_api.get("orders/e5/arrival").json()["method"] == "straight"
    redis_session.command("SET", order_arrival_key("e5"), b"made by hand")
    assert orders_api.get("orders/e5/arrival").json()["method"] == "straight"


def fill(url: str, rows: list[tuple[str, float, float, float]]) -> None:
    """Orders that arrived, each with one prediction: name, minutes left in truth, said, width."""

    async def write() -> None:
        connection = await asyncpg.connect(url)
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
        for name, real, said, width in rows:
            await connection.execute(
                "UPDATE orders SET state = 'delivered', arriving_at = $2, delivered_at = $3"
                " WHERE order_id = $1",
                *(name, now, now + timedelta(minutes=4)),
            )
            at = now - timedelta(minutes=real)
            await connection.execute(
                "INSERT INTO arrival_log VALUES ($1, $2, $3, 'p', 'history', $4, $4, $5, $6)",
                *(name, int(at.timestamp()) // 60, at, said * 60),
                *((said - width) * 60, (said + width) * 60),
            )
        await connection.close()

    asyncio.run(write())


def test_how_right_they_were(orders_api: httpx.Client, orders_database: str) -> None:
    nothing = orders_api.get(ACCURACY, params={"end_time": "2026-01-02T00:00:00Z"}).json()
    assert nothing["accuracy"] == []
    assert nothing["total"]["predictions"] == 0
    assert nothing["total"]["coverage"] is None
    # Minutes: in truth, said, half the interval.
    rows = [("p1", 8.0, 9.0, 2.0), ("p2", 7.0, 5.0, 1.0), ("p3", 30.0, 33.0, 4.0)]
    for name, *_ in rows:
        put(orders_api, name, driver_id="p")
    fill(orders_database, rows)
    found = orders_api.get(ACCURACY).json()
    middle, far = found["accuracy"]
    assert (middle["minutes_from"], middle["minutes_to"]) == (5, 10)
    assert (middle["predictions"], middle["orders"]) == (2, 2)
    assert middle["error_mean_s"] == pytest.approx(90)
    assert middle["bias_s"] == pytest.approx(-30)
    assert middle["error_p90_s"] == pytest.approx(114)
    assert middle["coverage"] == 0.5
    assert (far["minutes_from"], far["minutes_to"], far["coverage"]) == (20, 40, 1)
    assert found["total"]["predictions"] == 3
    assert orders_api.get(ACCURACY, params={"method": "roads"}).json()["accuracy"] == []
    days = orders_api.get(ACCURACY, params={"group": "day"}).json()["days"]
    assert sum(day["total"]["predictions"] for day in days) == 3
    table = orders_api.get(ACCURACY, params={"format": "csv"}).text.splitlines()
    assert table[0].startswith("minutes_from,minutes_to,predictions")
    assert len(table) == 3


@pytest.mark.parametrize(
    "asked", [{"group": "week"}, {"method": "guess"}, {"format": "xml"}, {"start_time": "noon"}]
)
def test_questions_that_are_none(orders_api: httpx.Client, asked: dict[str, Any]) -> None:
    answer = orders_api.get(ACCURACY, params=asked)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(asked)
