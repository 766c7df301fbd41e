"""What is sent to make or change a fence: judged whole, every fault named. Pure; needs `places`."""

from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import Any

import msgspec

from common.bodies.fault_list import FaultList
from common.errors import Fault, InvalidUpdate
from common.event import TIME_MAX, TIME_MIN
from common.fences.geometry import GeometryReader
from common.fences.schedule_body import ScheduleReader, written
from common.fences.terms import PATTERN_TEXT, FenceBody, FenceTerms, Radius, Width
from common.geo.areas import fault_of
from common.geo.shape import Shape
from common.geo.strips import pieces_of
from common.ids import is_id


class _Reach(msgspec.Struct):
    """What may stand in a geometry besides its coordinates."""

    radius_m: Radius | None = None
    width_m: Width | None = None


def read_terms(geofence_id: str, value: object) -> FenceTerms:
    """Judge the body (decoded JSON) of a fence. Raises `InvalidUpdate` with every fault."""
    if not isinstance(value, dict):
        raise InvalidUpdate("the body must be a JSON object")
    typed = FaultList()
    fields = typed.members(value, FenceBody)
    faults = [*typed.faults, *_text_faults(fields)]
    _take_reach(fields, faults)
    shape = _shape(fields, faults)
    schedules = ScheduleReader()
    schedule = schedules.read(fields.get("schedule"))
    faults += schedules.faults
    if faults or shape is None:
        raise refusal(faults)
    body = FenceBody(**fields)
    return FenceTerms(
        geofence_id,
        body.name,
        _kept(body.geometry),
        body.radius_m,
        body.width_m,
        _weight(shape),
        body.drivers,
        body.dwell_s,
        written(schedule),
        body.active,
        body.expires_at.astimezone(UTC) if body.expires_at else None,
    )


def refusal(faults: Iterable[Fault]) -> InvalidUpdate:
    """The 422 that names them."""
    faults = tuple(faults)
    return InvalidUpdate("; ".join(f"{f.field}: {f.detail}" for f in faults), faults=faults)


def _text_faults(fields: Mapping[str, Any]) -> Iterable[Fault]:
    name = fields.get("name", "a")
    if not name.isprintable() or name.isspace():
        yield Fault("name", "must have letters that can be seen, and no control characters")
    for n, pattern in enumerate(fields.get("drivers") or ()):
        stem = pattern.removesuffix("*")
        if not (is_id(stem) or (pattern.endswith("*") and stem in ("", ".", ".."))):
            yield Fault(f"drivers[{n}]", f"must be {PATTERN_TEXT}")
    expires_at = fields.get("expires_at")
    if expires_at is not None and not TIME_MIN <= expires_at <= TIME_MAX:
        yield Fault("expires_at", "must be a time from year 2 to 9998")


def _take_reach(fields: dict[str, Any], faults: list[Fault]) -> None:
    """Bring `radius_m` and `width_m` out of the geometry, where they may stand too."""
    geometry = fields.get("geometry") or {}
    for name in ("radius_m", "width_m"):
        if geometry.get(name) is None:
            continue
        typed = FaultList()
        inner = typed.members({name: geometry[name]}, _Reach, "geometry").get(name)
        faults += typed.faults
        if typed:
            continue
        if fields.get(name) is None:
            fields[name] = inner
        elif fields[name] != inner:
            faults.append(Fault(name, "is not what the geometry has"))


def _weight(shape: Shape) -> int:
    """What it weighs in an index: its vertices; of a corridor the pieces that it is cut into."""
    return shape.vertices if shape.areas else len(pieces_of(shape.line))


def _shape(fields: Mapping[str, Any], faults: list[Fault]) -> Shape | None:
    geometry = fields.get("geometry")
    if geometry is None:
        return None
    reader = GeometryReader()
    shape = reader.read(geometry, fields.get("radius_m"), fields.get("width_m"))
    known = {fault.field for fault in faults}
    # A radius that is at fault itself is not missing too.
    faults += (fault for fault in reader.faults if fault.field not in known)
    if shape is not None:
        faults += _area_faults(shape, geometry)
    return shape


def _area_faults(shape: Shape, geometry: Mapping[str, Any]) -> Iterable[Fault]:
    parted = geometry["type"] == "MultiPolygon"
    for n, rings in enumerate(shape.areas):
        found = fault_of(rings)
        if found is not None:
            ring, detail = found
            part = f"[{n}]" if parted else ""
            place = "" if ring is None else f"[{ring}]"
            yield Fault(f"geometry.coordinates{part}{place}", detail)


def _kept(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a geometry that mean something here."""
    names = ("type", "coordinates", "radius_m", "width_m")
    return {name: geometry[name] for name in names if geometry.get(name) is not None}
