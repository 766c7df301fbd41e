"""A process that follows geofences: only what changed is read again."""

import asyncio
from typing import Any

import asyncpg

from consumers.places.fence_book import FenceBook
from ingest.resources.fences.desk import FenceDesk
from ingest.resources.fences.judge import judge_fence
from ingest.resources.history import History

CIRCLE = b'{"name": "Depot", "geometry": {"type": "Point", "coordinates": [13.4, 52.5]}'
ON, OFF = CIRCLE + b', "radius_m": 75}', CIRCLE + b', "radius_m": 75, "active": false}'
ROAD = b'{"name": "a", "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 0]]}'


def test_a_process_follows_the_table(database_url: str) -> None:
    asyncio.run(follow(database_url))


async def follow(database_url: str) -> None:
    database = History(database_url, connections_max=1, timeout_s=10)
    connection: Any = await asyncpg.connect(database_url)
    try:
        await check(FenceDesk(database), FenceBook(), connection)
    finally:
        await connection.close()
        await database.close()


async def check(desk: FenceDesk, book: FenceBook, connection: Any) -> None:
    async def put(geofence_id: str, body: bytes) -> None:
        await desk.put(await judge_fence(geofence_id, body))

    await book.refresh(connection)
    assert len(book.index) == 0
    await put("a", ON)
    await put("b", ON)
    assert await book.refresh(connection)
    assert not await book.refresh(connection)
    kept, index = book.index.get("a"), book.index
    assert {f.geofence_id for f in index.inside([52.5], [13.4])[0]} == {"a", "b"}
    await put("b", OFF)
    assert await desk.delete("a")
    await put("c", ROAD + b', "width_m": 20}')
    assert await book.refresh(connection)
    assert book.index.get("a") is None
    found = book.index.inside([52.5, 0.00008, 0.0001], [13.4, 0.5, 0.5])
    assert [[f.geofence_id for f in held] for held in found] == [[], ["c"], []]
    # A row that cannot be read (of a newer release) takes none of the others with it.
    other = book.index.get("c")
    await put("a", ON)
    await connection.execute("UPDATE geofences SET geometry = '{}' WHERE geofence_id = 'a'")
    assert await book.refresh(connection)
    assert book.index.get("a") is None
    assert book.index.get("c") is other
    # The index that somebody still works with is as it was.
    assert index.get("a") is kept
