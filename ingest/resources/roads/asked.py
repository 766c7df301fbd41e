"""What a body asks of the roads: between which places, with which vehicle. Pure."""

from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from common.bodies.fault_list import FaultList, decode_json
from common.contract import Vehicle
from common.event import MALFORMED, Id, Latitude, Longitude

# Sources, and targets, of a matrix; points of a way. The contract's numbers.
SIDE_MAX = 100
POINTS_MAX = 100
# Two hundred places with all their digits are a quarter of this.
BODY_BYTES_MAX = 65_536
DRIVER_OR_PLACE = "must have a driver_id, or a latitude and a longitude"


class AskedPlace(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
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


class AskedMatrix(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From each source to each target."""

    sources: Side
    targets: Side
    vehicle: Vehicle = "car"


class AskedRoute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Through all points, in their order."""

    points: Points
    vehicle: Vehicle = "car"


Asked = TypeVar("Asked", AskedMatrix, AskedRoute)
# Members that are lists of places.
_LISTS = ("sources", "targets", "points")


def decode_asked(body: bytes, kind: type[Asked]) -> Asked:
    """The question in a body.

    Raises `InvalidUpdate`: 400 for what is no JSON, 422 with the fields at fault.
    """
    faults = FaultList()
    try:
        # A tenth of the time that it takes to look at each member: that is done for faults alone.
        members = msgspec.structs.asdict(msgspec.json.decode(body, type=kind))
    except MALFORMED:
        members = faults.members(decode_json(body), kind)
    for name in _LISTS:
        places: list[AskedPlace | None] = members.get(name, [])
        for n, place in enumerate(places):
            if place is not None and not place.is_whole:
                faults.add(f"{name}[{n}]", DRIVER_OR_PLACE)
    faults.refuse()
    return kind(**members)
