"""Fences in the database, as ingest reads and writes them."""

from importlib.resources import files
from typing import Any

from common.errors import InvalidUpdate
from common.fences.limits import FENCES_MAX, VERTICES_SUM_MAX
from common.fences.row import COLUMNS
from ingest.resources.history import History

# A row as asyncpg gives it: values by column name.
Row = Any


def _sql(name: str, **values: str) -> str:
    return files(__package__).joinpath(f"{name}.sql").read_text().format(columns=COLUMNS, **values)


_PUT, _IMPORT = _sql("put", returning=COLUMNS), _sql("put", returning="1 AS one")
_ONE, _LIST, _INSIDE, _DELETE = map(_sql, ("one", "list", "inside", "delete"))


class FenceDesk:
    """The questions and changes. They raise `Overloaded` while the database does not answer."""

    def __init__(self, database: History) -> None:
        self._database = database

    async def put(self, rows: str) -> tuple[Row, bool]:
        """Make or change the one fence of `rows` (JSON); its row, and whether it is new."""
        (row,) = await self._write(_PUT, rows)
        return row, row["made"]

    async def put_all(self, rows: str) -> tuple[int, int]:
        """Make or change all fences of `rows` or none; how many were made, and changed."""
        written = await self._write(_IMPORT, rows)
        made = sum(row["made"] for row in written)
        return made, len(written) - made

    async def one(self, geofence_id: str) -> Row | None:
        """The fence, where there is one."""
        found = await self._database.read(_ONE, geofence_id)
        return found[0] if found else None

    async def page(self, after: str, limit: int) -> list[Row]:
        """Up to `limit` fences whose id comes after `after`, in order."""
        return await self._database.read(_LIST, after, limit)

    async def inside(self, geofence_id: str, after: str, limit: int) -> list[Row] | None:
        """The drivers that are in the fence, likewise; None where there is no such fence."""
        rows = await self._database.read(_INSIDE, geofence_id, after, limit)
        return [row for row in rows if row["driver_id"] is not None] if rows else None

    async def delete(self, geofence_id: str) -> bool:
        """Delete it; whether there was one."""
        return bool(await self._database.read(_DELETE, geofence_id))

    async def _write(self, sql: str, rows: str) -> list[Row]:
        written = await self._database.read(sql, rows, FENCES_MAX, VERTICES_SUM_MAX)
        if not written:
            raise InvalidUpdate(
                f"there may be {FENCES_MAX:,} geofences with {VERTICES_SUM_MAX:,} vertices in all, "
                "and this would be more: delete some first"
            )
        return written
