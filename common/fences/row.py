"""A row of `geofences` into a fence and into what the API shows of it. Pure, without libraries."""

from collections.abc import Mapping
from typing import Any

import orjson

from common.fences.driver_pattern import DriverPattern
from common.fences.fence import Fence
from common.fences.geometry import GeometryReader
from common.fences.schedule_body import ScheduleReader

Row = Mapping[str, Any]
# What a row is read with.
COLUMNS = (
    "geofence_id, name, geometry, radius_m, width_m, drivers, dwell_s, schedule, active, "
    "expires_at, created_at, updated_at, version"
)


def fence_of(row: Row) -> Fence:
    """The fence. Raises `ValueError` for one that this release cannot read."""
    shapes, schedules = GeometryReader(), ScheduleReader()
    shape = shapes.read(orjson.loads(row["geometry"]), row["radius_m"], row["width_m"])
    schedule = schedules.read(orjson.loads(row["schedule"] or b"null"))
    if shape is None or schedules.faults:
        faults = [*shapes.faults, *schedules.faults]
        raise ValueError("; ".join(f"{fault.field} {fault.detail}" for fault in faults))
    return Fence(
        geofence_id=row["geofence_id"],
        name=row["name"],
        shape=shape,
        drivers=DriverPattern.of(row["drivers"]),
        dwell_s=row["dwell_s"],
        schedule=schedule,
        active=row["active"],
        expires_at=row["expires_at"],
        version=row["version"],
    )


def shown(row: Row) -> dict[str, Any]:
    """What the API shows: every field, null where it is not set."""
    return {
        "geofence_id": row["geofence_id"],
        "name": row["name"],
        "geometry": orjson.Fragment(row["geometry"]),
        "radius_m": row["radius_m"],
        "width_m": row["width_m"],
        "drivers": row["drivers"],
        "dwell_s": row["dwell_s"],
        "schedule": None if row["schedule"] is None else orjson.Fragment(row["schedule"]),
        "active": row["active"],
        "expires_at": row["expires_at"],
        "created_at": row["created_at"],
        "updated_at": row["updated_at"],
        "version": row["version"],
    }


def shown_feature(row: Row) -> dict[str, Any]:
    """The same as a GeoJSON feature, which an import takes back."""
    properties = shown(row)
    geometry = properties.pop("geometry")
    return {
        "type": "Feature",
        "id": row["geofence_id"],
        "geometry": geometry,
        "properties": properties,
    }
