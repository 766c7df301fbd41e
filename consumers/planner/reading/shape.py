"""From bytes to a `PlanBody`, entry by entry, so that faults of several entries are named. Pure."""

from typing import Any, TypeVar

import msgspec

from common.errors import InvalidUpdate
from common.event import MALFORMED
from common.plans.body import (
    PlanBody,
    PlanJob,
    PlanMatrix,
    PlanShipment,
    PlanVehicle,
    ShipmentEnd,
)
from common.plans.limits import JOBS_MAX, VEHICLES_MAX
from consumers.planner.reading.faults import FaultList

T = TypeVar("T")
_decode = msgspec.json.Decoder().decode
# Lists whose entries are judged one by one: their type, and how many there may be.
_LISTS: dict[str, tuple[type[Any], int]] = {
    "vehicles": (PlanVehicle, VEHICLES_MAX),
    "jobs": (PlanJob, JOBS_MAX),
    "shipments": (PlanShipment, JOBS_MAX // 2),
}


def read_body(data: bytes, faults: FaultList) -> PlanBody | None:
    """The body as its types say; None where faults were found. Raises `InvalidUpdate` (400)."""
    try:
        value = _decode(data)
    except MALFORMED as e:
        raise InvalidUpdate(f"the body is not JSON: {e}", status=400) from e
    if not isinstance(value, dict):
        faults.add("body", "must be an object")
        return None
    lists = {name: _entries(value.get(name), name, faults) for name in _LISTS}
    matrix = _matrix(value.get("matrix"), faults)
    # The rest has few members; what was judged above is left out of it.
    judged = {*_LISTS, "matrix"}
    rest = {name: v for name, v in value.items() if name not in judged and v is not None}
    body = faults.convert({**rest, "vehicles": [_PROBE]}, PlanBody, "")
    if body is None or faults:
        return None
    return msgspec.structs.replace(body, **lists, matrix=matrix)


# Stands for the vehicles while the other members are judged.
_PROBE = {"id": "x"}


def _entries(value: object, name: str, faults: FaultList) -> list[Any]:
    kind, most = _LISTS[name]
    if value is None and name != "vehicles":
        return []
    if value is None:
        faults.add(name, "is required")
        return []
    if not isinstance(value, list):
        faults.add(name, "must be a list")
        return []
    if len(value) > most:
        faults.add(name, f"has {len(value)} entries, more than {most}")
        return []
    if not value and name == "vehicles":
        faults.add(name, "is empty: a plan needs a vehicle")
    entries = []
    for place, entry in enumerate(value):
        if faults.full:
            break
        where = f"{name}[{place}]"
        read = _shipment(entry, where, faults) if kind is PlanShipment else None
        if kind is not PlanShipment:
            read = faults.convert(entry, kind, where)
        if read is not None:
            entries.append(read)
    return entries


def _shipment(value: object, where: str, faults: FaultList) -> PlanShipment | None:
    """Its two ends are looked at member by member too."""
    if not isinstance(value, dict):
        faults.add(where, "must be an object")
        return None
    ends: dict[str, ShipmentEnd | None] = {}
    for name in ("pickup", "delivery"):
        if value.get(name) is not None:
            ends[name] = faults.convert(value[name], ShipmentEnd, f"{where}.{name}")
    plain = {n: v for n, v in value.items() if n not in ends}
    if "delivery" in ends:
        # Judged above; anything that fits its type stands for it.
        plain["delivery"] = {"at": {}}
    shipment = faults.convert(plain, PlanShipment, where)
    if shipment is None or None in ends.values():
        return None
    return msgspec.structs.replace(shipment, **ends)


def _matrix(value: object, faults: FaultList) -> PlanMatrix | None:
    if value is None:
        return None
    return faults.convert(value, PlanMatrix, "matrix")
