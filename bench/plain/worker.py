"""The plain design's worker: one message at a time with redis-py, one INSERT, one XACK."""

import json
import os
from datetime import datetime
from typing import Any

import asyncpg
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from bench.plain.serve import STREAM
from common.processes.process import die_with_parent

GROUP = "plain"
_INSERT = """
INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude, speed, heading,
                       accuracy, order_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT DO NOTHING
"""


async def work() -> None:
    """Read, move the driver, publish, store, acknowledge; for ever."""
    redis: Any = Redis.from_url(os.environ["REDIS_URL"], decode_responses=True)
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4)
    try:
        await redis.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except ResponseError as e:
        if "BUSYGROUP" not in str(e):
            raise
    while True:
        # A few at a time, as the examples of redis-py do; each is then worked off alone.
        found = await redis.xreadgroup(GROUP, "worker", {STREAM: ">"}, count=10, block=1000)
        for _, entries in found or ():
            for entry_id, fields in entries:
                await _handle(redis, pool, fields)
                await redis.xack(STREAM, GROUP, entry_id)


async def _handle(redis: Any, pool: asyncpg.Pool, fields: dict[str, str]) -> None:
    driver_id, order_id = fields["driver_id"], fields.get("order_id")
    latitude, longitude = float(fields["latitude"]), float(fields["longitude"])
    event = json.dumps(fields)
    await redis.hset("plain:live", driver_id, event)
    await redis.geoadd("plain:geo", (longitude, latitude, driver_id))
    if order_id is not None:
        await redis.publish(f"order:{order_id}", event)
    await pool.execute(
        _INSERT,
        driver_id,
        datetime.fromisoformat(fields["recorded_at"]),
        datetime.fromisoformat(fields["received_at"]),
        latitude,
        longitude,
        _number(fields.get("speed")),
        _number(fields.get("heading")),
        _number(fields.get("accuracy")),
        order_id,
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)


if __name__ == "__main__":
    die_with_parent()
    uvloop.run(work())
