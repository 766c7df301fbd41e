"""The table in the database has the columns of an event, and its optional ones may be null."""

import asyncio

import asyncpg
import msgspec

from common.event import COLUMNS, LocationEvent
from ingest.resources.history import ROUTE_SQL


def test_the_table_has_the_columns_of_an_event(database_url: str) -> None:
    async def read() -> tuple[dict[str, bool], list[str]]:
        connection = await asyncpg.connect(database_url)
        try:
            found = await connection.fetch(
                "SELECT column_name, is_nullable = 'YES' AS nullable"
                " FROM information_schema.columns WHERE table_name = 'locations'"
            )
            route = await connection.prepare(ROUTE_SQL)
            return dict(map(tuple, found)), [a.name for a in route.get_attributes()]
        finally:
            await connection.close()

    table, route = asyncio.run(read())
    required = {f.name for f in msgspec.structs.fields(LocationEvent) if f.required}
    assert table == {name: name not in required for name in COLUMNS}
    assert ["driver_id", *route] == list(COLUMNS)
