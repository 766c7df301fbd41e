"""What a body asks of the roads: between which places, with which vehicle. Pure."""

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from common.contract import Vehicle
from common.errors import Fault, InvalidUpdate
from common.event import MALFORMED, Id, Latitude, Longitude
from common.ids import ID_DETAIL

# Sources, and targets, of a matrix; points of a way. The contract's numbers.
SIDE_MAX = 100
POINTS_MAX = 100
# Two hundred places with all their digits are a quarter of this.
BODY_BYTES_MAX = 65_536
# Faults that are named; a body of nothing but faults must not make an answer of megabytes.
FAULTS_MAX = 20
DRIVER_OR_PLACE = "must have a driver_id, or a latitude and a longitude"


class AskedPlace(msgspec.Struct, frozen=True, gc=False):
    """The live position of a driver, or a place in degrees."""

    driver_id: Id | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is one of the two."""
        if self.driver_id is not None:
            return self.latitude is None and self.longitude is None
        return self.latitude is not None and self.longitude is not None


Side = Annotated[list[AskedPlace], Meta(min_length=1, max_length=SIDE_MAX)]
Points = Annotated[list[AskedPlace], Meta(min_length=2, max_length=POINTS_MAX)]


class AskedMatrix(msgspec.Struct, frozen=True):
    """From each source to each target."""

    sources: Side
    targets: Side
    vehicle: Vehicle = "car"


class AskedRoute(msgspec.Struct, frozen=True):
    """Through all points, in their order."""

    points: Points
    vehicle: Vehicle = "car"


Asked = TypeVar("Asked", AskedMatrix, AskedRoute)
T = TypeVar("T")
# The lists of places in each, with how many may be in them.
_LISTS = {
    AskedMatrix: {"sources": (1, SIDE_MAX), "targets": (1, SIDE_MAX)},
    AskedRoute: {"points": (2, POINTS_MAX)},
}
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_place = msgspec.json.Decoder(AskedPlace).decode
_decode_vehicle = msgspec.json.Decoder(Vehicle).decode


def decode_asked(body: bytes, kind: type[Asked]) -> Asked:
    """The question in a body.

    Raises `InvalidUpdate`: 400 for what is no JSON, 422 with the fields at fault.
    """
    try:
        asked = msgspec.json.decode(body, type=kind)
    except MALFORMED as e:
        raise _invalid(body, kind) from e
    for name in _LISTS[kind]:
        places: list[AskedPlace] = getattr(asked, name)
        if not all(place.is_whole for place in places):
            raise _invalid(body, kind)
    return asked


def _invalid(body: bytes, kind: type[Asked]) -> InvalidUpdate:
    try:
        fields = _decode_fields(_decode_any(body))
    except msgspec.ValidationError:
        return InvalidUpdate("the body must be a JSON object")
    except MALFORMED as e:
        return InvalidUpdate(f"the body is not JSON: {e}", status=400)
    faults: list[Fault] = []
    for name, (least, most) in _LISTS[kind].items():
        faults += _list_faults(name, fields.get(name), least, most)
    if "vehicle" in fields and _decoded(_decode_vehicle, fields["vehicle"]) is None:
        faults.append(Fault("vehicle", "must be car, bicycle or foot"))
    if not faults:
        return InvalidUpdate("a value is out of range")
    return refusal(faults)


def refusal(faults: Sequence[Fault]) -> InvalidUpdate:
    """The answer that names the first faults."""
    named = faults[:FAULTS_MAX]
    return InvalidUpdate("; ".join(f"{f.field}: {f.detail}" for f in named), faults=tuple(named))


def _list_faults(name: str, value: msgspec.Raw | None, least: int, most: int) -> list[Fault]:
    if value is None:
        return [Fault(name, "is required")]
    try:
        items = _decode_items(value)
    except MALFORMED:
        return [Fault(name, "must be a list of places")]
    if not least <= len(items) <= most:
        return [Fault(name, f"must have {least} to {most} places, not {len(items)}")]
    faults: list[Fault] = []
    for index, item in enumerate(items):
        faults += _place_faults(f"{name}[{index}]", item)
        if len(faults) >= FAULTS_MAX:
            break
    return faults


def _place_faults(name: str, item: msgspec.Raw) -> list[Fault]:
    place = _decoded(_decode_place, item)
    if place is not None:
        return [] if place.is_whole else [Fault(name, DRIVER_OR_PLACE)]
    members = _decoded(_decode_fields, item)
    if members is None:
        return [Fault(name, DRIVER_OR_PLACE)]
    faults = []
    for member in msgspec.structs.fields(AskedPlace):
        if member.name not in members:
            continue
        try:
            msgspec.json.decode(members[member.name], type=member.type)
        except MALFORMED as e:
            detail = ID_DETAIL if member.name == "driver_id" else _plain(str(e))
            faults.append(Fault(f"{name}.{member.name}", detail))
    return faults or [Fault(name, DRIVER_OR_PLACE)]


def _plain(message: str) -> str:
    return message.split(" - at `", maxsplit=1)[0].replace(" | null", "").replace("`", "")


def _decoded(decode: Callable[[msgspec.Raw], T], value: msgspec.Raw) -> T | None:
    """What `decode` makes of `value`; None for what it refuses."""
    try:
        return decode(value)
    except MALFORMED:
        return None
