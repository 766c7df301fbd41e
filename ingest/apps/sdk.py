"""Locations of the background-geolocation SDKs, wherever their settings put them. Pure.

A location has its values in `coords`, or, by a template or in mauron85's plugin, side by side
under common names. Where locations stand in a body is a setting too: any name, or the body itself.
"""

from ingest.apps.translation import Reading
from ingest.apps.upload import FIELDS_MAX, first_member, items, member
from ingest.apps.values import fraction, metres_per_second

LATITUDE = ("latitude", "lat")
LONGITUDE = ("longitude", "lng", "lon", "long")
TIME = ("timestamp", "time", "recorded_at")
HEADING = ("heading", "bearing", "course")
# What the SDKs call it themselves, and the name that a list of locations gets.
ROOTS = ("location", "locations")


def locations(body: object) -> list[object] | None:
    """The locations of a body, in their order; None where it is not to be seen which they are.

    Members beside the locations are the phone's `params`: these may hold a place of their own,
    so of other names only one may look like a location.
    """
    if isinstance(body, list):
        return items(body)
    if not isinstance(body, dict) or len(body) > FIELDS_MAX:
        return None
    if "coords" in body:
        return [body]
    known = [items(body[root]) for root in ROOTS if root in body]
    if any(not found or any(map(_is_known, found)) for found in known):
        return [location for found in known for location in found]
    if is_location(body):
        return [body]
    others = [found for found in map(items, body.values()) if any(map(is_location, found))]
    return others[0] if len(others) == 1 else None


def is_location(value: object) -> bool:
    """Whether a value is a location, of whatever worth."""
    if member(value, "coords") is not None:
        return True
    # OwnTracks' messages, which have a path and units of their own.
    if member(value, "_type") is not None:
        return False
    return first_member(value, LATITUDE) is not None and first_member(value, LONGITUDE) is not None


def is_event(value: object) -> bool:
    """Whether a value is something else that the SDKs tell of; these say what they are."""
    return isinstance(member(value, "event"), str)


def _is_known(value: object) -> bool:
    return is_location(value) or is_event(value)


def location_reading(location: object, driver_id: str, order_id: object) -> Reading:
    """The driver's fix at a location."""
    values = member(location, "coords") or location
    level = member(location, "battery", "level")
    return Reading(
        driver_id=driver_id,
        latitude=first_member(values, LATITUDE),
        longitude=first_member(values, LONGITUDE),
        time=first_member(location, TIME),
        speed=metres_per_second(member(values, "speed")),
        heading=first_member(values, HEADING),
        accuracy=member(values, "accuracy"),
        altitude=member(values, "altitude"),
        battery=fraction(member(location, "battery") if level is None else level),
        order_id=order_id,
    )
