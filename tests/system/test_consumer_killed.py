"""A consumer killed under load is back within three seconds; nothing is lost, nothing doubled."""

import asyncio
import os
import signal
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.stack import within
from tests.wait import wait_until

BODIES = 60
FIXES = 50


def body(number):
    began = datetime.now(UTC) - timedelta(minutes=5)
    return {
        "locations": [
            {
                "driver_id": f"killed-{n}",
                "latitude": 53.4,
                "longitude": -2.9,
                "recorded_at": (began + timedelta(milliseconds=number)).isoformat(),
            }
            for n in range(FIXES)
        ]
    }


async def rows(url):
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM locations WHERE driver_id LIKE 'killed-%'"
        )
    finally:
        await connection.close()


def test_a_consumer_killed_under_load_loses_and_doubles_nothing(stack):
    before = stack.pid("consumer-1")
    for number in range(BODIES):
        status, answer = stack.request("POST", "/api/v1/drivers/locations", body(number))
        assert (status, answer["accepted"]) == (202, FIXES)
        if number == BODIES // 3:
            os.kill(before, signal.SIGKILL)
    within(3, lambda: stack.pid("consumer-1") not in {before, None}, "consumer-1 back")
    wait_until(lambda: asyncio.run(rows(stack.database_url)) >= BODIES * FIXES, timeout_s=10)
    health = "/health"
    wait_until(lambda: stack.request("GET", health)[1]["pending_messages"] == 0, timeout_s=10)
    assert asyncio.run(rows(stack.database_url)) == BODIES * FIXES
