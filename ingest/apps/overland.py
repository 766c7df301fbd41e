"""Overland: batches of GeoJSON features. Only `{"result":"ok"}` takes a batch off the phone.

While its queue is long Overland also sends where it is now, as `current`. It comes again in a
later batch; both are the same fix.
"""

from collections.abc import Iterator

from ingest.apps.reason import Reason
from ingest.apps.tolerant import NotJson, decode_body
from ingest.apps.translation import Item, Reading
from ingest.apps.upload import Upload, items, member, unknown_shape
from ingest.apps.values import fraction, metres_per_second

EXPECTED = '{"locations": [GeoJSON features]}'


def read(upload: Upload) -> Iterator[Item]:
    """A fix for each point; trips, visits and other events are of no interest.

    Raises `InvalidUpdate` when a point names no driver, nor does anything else in the request.
    """
    try:
        batch = decode_body(upload.body)
    except NotJson:
        yield Reason.UNREADABLE
        return
    locations = member(batch, "locations")
    if not isinstance(locations, list):
        raise unknown_shape(EXPECTED)
    features = items(locations) + items(member(batch, "current"))
    order_id = upload.order_id()
    # A device id is set in the app at any time, so older points of a queue may have none.
    named = (member(feature, "properties", "device_id") for feature in reversed(features))
    newest = next((name for name in named if name), None)
    for feature in features:
        reason = _no_fix(feature)
        if reason is not None:
            yield reason
            continue
        driver_id = upload.driver_id(
            member(feature, "properties", "device_id"), newest, member(batch, "device_id")
        )
        yield _reading(feature, driver_id, order_id)


def _no_fix(feature: object) -> Reason | None:
    """Why a feature is no fix, or None.

    Visits, exits of regions and the like are points, dated when iOS told of them: the phone may
    have left that place long ago.
    """
    shape = member(feature, "geometry", "type")
    if not isinstance(shape, str):
        return Reason.UNKNOWN_SHAPE
    properties = member(feature, "properties")
    is_event = member(properties, "action") or member(properties, "type") == "trip"
    return Reason.NO_INTEREST if is_event or shape != "Point" else None


def _reading(feature: object, driver_id: str, order_id: str | None) -> Reading:
    position = member(feature, "geometry", "coordinates")
    longitude, latitude = (
        position[:2] if isinstance(position, list) and len(position) >= 2 else (None, None)
    )
    properties = member(feature, "properties")
    return Reading(
        driver_id=driver_id,
        latitude=latitude,
        longitude=longitude,
        time=member(properties, "timestamp"),
        speed=metres_per_second(member(properties, "speed")),
        heading=member(properties, "course"),
        accuracy=member(properties, "horizontal_accuracy"),
        altitude=member(properties, "altitude"),
        battery=fraction(member(properties, "battery_level")),
        order_id=order_id,
    )
