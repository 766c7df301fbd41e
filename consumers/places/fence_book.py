"""The fences that a process knows: those of the database, at most half a second old.

Asking costs one row while nothing changed. After a change it reads which fences there are, and
the rows of those that are new; the index over all is then built anew, in some 50 ms for 10,000.
"""

from typing import Any

from common.fences.fence import Fence
from common.fences.row import COLUMNS, fence_of
from common.log import get
from consumers.places.rules.fence_index import FenceIndex

# How often to ask, in seconds: a change is to be known within a second.
LOOK_EVERY_S = 0.5
_VERSION = "SELECT version FROM geofence_changes"
_KNOWN = "SELECT geofence_id, version FROM geofences"
_ROWS = f"SELECT {COLUMNS} FROM geofences WHERE geofence_id = ANY($1::text[])"  # noqa: S608
# Rows that are decoded in one go.
_ROWS_MAX = 1000

_log = get("places")


class FenceBook:
    """The newest `index` over all fences, and the version of the table that it is of."""

    def __init__(self) -> None:
        self.index = FenceIndex()
        self.version = -1
        self._fences: dict[str, Fence] = {}

    async def refresh(self, connection: Any) -> bool:
        """Look for changes (an asyncpg connection); whether `index` is another now.

        A change during the reading is seen the next time, as the version is read first. Raises
        what asyncpg raises; then `index` stays as it was.
        """
        version = await connection.fetchval(_VERSION)
        if version == self.version:
            return False
        known = dict(await connection.fetch(_KNOWN))
        fences = {k: f for k, f in self._fences.items() if known.get(k) == f.version}
        missing = [k for k in known if k not in fences]
        for first in range(0, len(missing), _ROWS_MAX):
            for row in await connection.fetch(_ROWS, missing[first : first + _ROWS_MAX]):
                _put(fences, row)
        self._fences = fences
        self.index = FenceIndex(fences.values())
        self.version = version
        return True


def _put(fences: dict[str, Fence], row: Any) -> None:
    try:
        fences[row["geofence_id"]] = fence_of(row)
    except ValueError as e:
        # Written by a newer release, or by hand. The others must not suffer.
        _log.error("geofence.unreadable", geofence_id=row["geofence_id"], error=str(e))
