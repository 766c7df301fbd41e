"""The background-geolocation SDKs for React Native, Flutter, Capacitor and Cordova.

One location a request, or a batch. Any of 200, 201 and 204 deletes the records. The driver is
`driver_id` or `device_id` among the SDK's `params`, or in a location's `extras`, which a template
merges into the location.
"""

from collections.abc import Iterator

from ingest.apps.reason import Reason
from ingest.apps.sdk import is_event, is_location, location_reading, locations
from ingest.apps.tolerant import NotJson, decode_body
from ingest.apps.translation import Item
from ingest.apps.upload import Upload, member, unknown_shape

EXPECTED = "locations with latitude and longitude, by these names, under one name"


def read(upload: Upload) -> Iterator[Item]:
    """A fix for each location.

    Raises `InvalidUpdate` when a location names no driver, nor does anything else, and when
    nothing in the body is known as a location.
    """
    try:
        body = decode_body(upload.body)
    except NotJson:
        yield Reason.UNREADABLE
        return
    found = locations(body)
    if found is None:
        raise unknown_shape(EXPECTED)
    address_order_id = upload.order_id()
    for location in found:
        if not is_location(location):
            yield Reason.NO_INTEREST if is_event(location) else Reason.UNKNOWN_SHAPE
        elif member(location, "sample") is True:
            # The SDK takes several samples of a position; a better location follows this one.
            yield Reason.NO_INTEREST
        else:
            driver_id = upload.driver_id(
                *_named(location, "driver_id", body),
                *_named(location, "device_id", body),
                member(body, "device", "uuid"),
            )
            orders = _named(location, "order_id", body)
            order_id = address_order_id or next(
                (name for name in orders if name not in (None, "")), None
            )
            yield location_reading(location, driver_id, order_id)


def _named(location: object, name: str, body: object) -> tuple[object, ...]:
    """What a location, and the request that it came in, say under `name`."""
    return member(location, "extras", name), member(location, name), member(body, name)
