"""Which path leads to which answer about geofences."""

from typing import Any

import falcon.asgi

from ingest.http.access import Access
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.fences.desk import FenceDesk
from ingest.resources.fences.fence import FenceDrivers, FenceItem
from ingest.resources.fences.fence_list import FenceImport, FenceList
from ingest.resources.history import History


def add_fence_routes(
    app: falcon.asgi.App[Any, Any], history: History, access: Access, *, bytes_max: int
) -> None:
    """Add them all. They take turns of their own: an import delays no route."""
    desk, turns, path = FenceDesk(history), ReadLimiter(2, 1), "/api/v1/geofences"
    app.add_route(path, FenceList(desk, access, turns))
    app.add_route(f"{path}/import", FenceImport(desk, access, turns, bytes_max=bytes_max))
    item = FenceItem(desk, access, turns, bytes_max=bytes_max)
    app.add_route(f"{path}/{{geofence_id}}", item)
    app.add_route(f"{path}/{{geofence_id}}/drivers", FenceDrivers(desk, access, turns))
