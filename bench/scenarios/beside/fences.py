"""Puts the fences of `geofences` into a stack's database, where the town of the workload lies."""

import random
from datetime import UTC, datetime

import asyncpg
import orjson

from bench import database
from bench.scenarios.geofences import areas, circles
from bench.stack import Stack
from common.fences.fence import Fence

_INSERT = """
INSERT INTO geofences (
    geofence_id, name, geometry, radius_m, vertices, dwell_s, active, created_at, updated_at,
    version
) VALUES ($1, $2, $3::text::jsonb, $4, $5, $6, true, $7, $7, 1)
"""


def add_fences(stack: Stack, seed: int) -> None:
    """10,000 circles and 200 areas, at once; known to the engine half a second later."""
    rng = random.Random(seed)
    fences = [*circles(rng), *areas(rng)]

    async def work(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            await connection.execute("DELETE FROM geofences")
            await connection.executemany(_INSERT, [_row(fence) for fence in fences])
            await connection.execute("UPDATE geofence_changes SET version = version + 1")

    database.call(stack.database_url, work)


def _row(fence: Fence) -> tuple[object, ...]:
    shape = fence.shape
    if shape.line:
        geometry: dict[str, object] = {"type": "Point", "coordinates": shape.line[0]}
    else:
        geometry = {"type": "Polygon", "coordinates": shape.areas[0]}
    return (
        fence.geofence_id, fence.name, orjson.dumps(geometry).decode(), shape.reach_m or None,
        shape.vertices, fence.dwell_s, datetime.now(UTC),
    )  # fmt: skip
