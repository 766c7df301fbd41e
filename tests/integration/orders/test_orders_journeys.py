"""What is left of orders that are over: their journeys, and statistics of deliveries."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import pytest

from common.geo.sphere import distance_m
from tests.integration.insight.insight_history import row, store
from tests.roles.orders import put_order as put


def fixes(driver_id: str, begin: datetime, order_id: str | None) -> list[Any]:
    """Two minutes due north at 36 km/h, a fix a second."""
    return [
        row(driver_id, begin + timedelta(seconds=n), 53.4 + n * 0.00009, -2.9, order_id=order_id)
        for n in range(120)
    ]


@pytest.mark.parametrize("named", [True, False])
def test_a_journey_is_the_way_of_its_driver(
    orders_api: httpx.Client, orders_database: str, named: bool
) -> None:
    """Fixes that name the order; all of the driver's where its phone names none."""
    order_id, driver_id = f"j-{named}", f"jd-{named}"
    begin = datetime.now(UTC).replace(microsecond=0)
    put(
        orders_api,
        order_id,
        driver_id=driver_id,
        promised_at=(begin + timedelta(hours=1)).isoformat(),
    )
    # As if it had been registered before the drive.
    before = begin - timedelta(minutes=10)

    async def drive() -> None:
        connection = await asyncpg.connect(orders_database)
        for table in ("orders SET new_at = $1, assigned_at", "order_drivers SET since"):
            sql = f"UPDATE {table} = $1 WHERE order_id = $2"
            await connection.execute(sql, before, order_id)
        known = order_id if named else None
        rows = fixes(driver_id, begin - timedelta(minutes=5), known)
        # Another's, and the driver's own for somebody else, are not part of it.
        rows += fixes("other", begin - timedelta(minutes=5), order_id)
        if named:
            rows += fixes(driver_id, begin - timedelta(minutes=9), "another-order")
        await store(connection, rows, marked=False)
        await connection.close()

    asyncio.run(drive())
    orders_api.post(f"orders/{order_id}/complete")
    journey = orders_api.get(f"orders/{order_id}/journey").json()
    assert (journey["state"], journey["fixes"]) == ("delivered", 120)
    whole = distance_m(53.4, -2.9, 53.4 + 119 * 0.00009, -2.9)
    # What is left of it at the end is below the dead band.
    assert whole - 10 <= journey["distance_m"] <= whole
    assert journey["late_s"] < 0
    assert journey["delivered_at"] == journey["times"]["delivered"]
    line = journey["route"]
    assert (line["type"], line["geometry"]["type"]) == ("Feature", "LineString")
    assert len(line["properties"]["coordTimes"]) == len(line["geometry"]["coordinates"]) >= 2
    assert [driver["driver_id"] for driver in journey["drivers"]] == [driver_id]


def test_deliveries_are_counted(orders_api: httpx.Client, orders_database: str) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)

    async def fill() -> None:
        connection = await asyncpg.connect(orders_database)
        sql = (
            "INSERT INTO orders (order_id, bucket, driver_id, state, new_at, picked_up_at,"
            " delivered_at, cancelled_at, promised_at, updated_at, version, told)"
            " VALUES ($1, 0, $2, $3, $4, $5, $6, $7, $8, $4, 1, true)"
        )
        for n in range(10):
            picked, done = day + timedelta(hours=n % 2), day + timedelta(hours=n % 2, minutes=n + 1)
            gone = None if n else done
            values = (picked, None if gone else done, gone, day + timedelta(minutes=n % 2 * 65 + 5))
            name = "cancelled" if gone else "delivered"
            await connection.execute(sql, f"del{n}", f"dd{n % 3}", name, day, *values)
        await connection.close()

    asyncio.run(fill())
    span = {"start_time": day.isoformat(), "end_time": (day + timedelta(days=1)).isoformat()}
    body = orders_api.get("fleet/deliveries", params=span).json()
    total = body["total"]
    assert (total["delivered"], total["cancelled"], total["promised"]) == (9, 1, 9)
    assert (total["under_way_p50_s"], total["under_way_max_s"]) == (360, 600)
    # Due after 5 minutes: 2 and 4 in the first hour; after 10: 1, 3, 5, 7 and 9 in the second.
    assert (total["on_time"], total["on_time_share"]) == (7, round(7 / 9, 4))
    assert "deliveries" not in body
    hours = orders_api.get("fleet/deliveries", params={**span, "group": "hour"}).json()
    assert [row["start_time"][11:16] for row in hours["deliveries"]] == ["00:00", "01:00"]
    assert [row["delivered"] for row in hours["deliveries"]] == [4, 5]
    path: dict[str, Any] = {**span, "group": "driver", "limit": 2}
    first = orders_api.get("fleet/deliveries", params=path)
    assert [row["driver_id"] for row in first.json()["deliveries"]] == ["dd0", "dd1"]
    assert first.json()["total"] == total
    rest = orders_api.get(
        httpx.URL(str(orders_api.base_url)).join(first.links["next"]["url"])
    ).json()
    assert [row["driver_id"] for row in rest["deliveries"]] == ["dd2"]
    assert rest["next_cursor"] is None
    table = orders_api.get("fleet/deliveries", params={**span, "group": "driver", "format": "csv"})
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["driver_id"] for row in rows] == ["dd0", "dd1", "dd2"]
    none = orders_api.get("fleet/deliveries", params={**span, "format": "csv"}).text.splitlines()
    assert (len(none), none[1].split(",")[0]) == (2, "9")
    nothing = {"start_time": "2020-01-01T00:00:00Z", "end_time": "2020-01-02T00:00:00Z"}
    assert (
        orders_api.get("fleet/deliveries", params=nothing).json()["total"]["on_time_share"] is None
    )
    wrong = {"group": "week", "format": "xml", "limit": "0", "cursor": "a b"}
    answer = orders_api.get("fleet/deliveries", params=wrong)
    assert [error["field"] for error in answer.json()["errors"]] == list(wrong)
