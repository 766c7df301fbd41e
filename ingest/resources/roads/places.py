"""Places of a question, with the drivers among them where they are now."""

from collections.abc import Iterable, Sequence

import msgspec

from common.access.policy import Action, Principal
from common.event import MALFORMED, Latitude, Longitude
from common.roads.way import Point
from ingest.http.access import Access
from ingest.resources.live_positions import LivePositions
from ingest.resources.roads.asked import AskedPlace


class Whereabouts(msgspec.Struct, gc=False):
    """Only the place of an event."""

    latitude: Latitude
    longitude: Longitude


_decode = msgspec.json.Decoder(Whereabouts).decode


def point_of(event: bytes) -> Point | None:
    """Where an event is; None for bytes that are no event."""
    try:
        found = _decode(event)
    except MALFORMED:
        return None
    return found.latitude, found.longitude


class PlaceFinder:
    """Makes points of asked places."""

    def __init__(self, live: LivePositions, access: Access) -> None:
        self._live = live
        self._access = access

    def require(self, principal: Principal, places: Iterable[AskedPlace]) -> None:
        """Raise `Refused` unless `principal` may know where the named drivers are.

        From a few travel times anybody could tell where somebody is.
        """
        for driver_id in _named(places):
            self._access.require(principal, Action.READ_DRIVER, driver_id=driver_id)

    async def points(self, places: Sequence[AskedPlace]) -> list[Point | None]:
        """Where they are; None for drivers without a current position. Raises `Overloaded`."""
        drivers = await self._drivers(_named(places))
        return [
            drivers.get(place.driver_id)
            if place.driver_id is not None
            else _point(place.latitude, place.longitude)
            for place in places
        ]

    async def _drivers(self, driver_ids: set[str]) -> dict[str, Point | None]:
        events = await self._live.read_many(driver_ids)
        return {driver_id: point_of(event) for driver_id, event in events.items()}


def _named(places: Iterable[AskedPlace]) -> set[str]:
    return {place.driver_id for place in places if place.driver_id is not None}


def _point(latitude: float | None, longitude: float | None) -> Point | None:
    return None if latitude is None or longitude is None else (latitude, longitude)
