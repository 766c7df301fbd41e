"""The background-geolocation SDKs for React Native, Flutter, Capacitor and Cordova.

One location a request, or a batch: `location` as an object or a list, `locations`, or the
location itself, as `httpRootProperty` says. Any of 200, 201 and 204 deletes the records.
The driver is `driver_id` or `device_id` among the SDK's `params`, or in a location's `extras`.
"""

from ingest.apps.osmand import read_location
from ingest.apps.translation import Translation
from ingest.apps.upload import Upload, decode_body, items, member


def translate(upload: Upload) -> Translation:
    """A fix for each location.

    Raises `InvalidUpdate` when a location names no driver, nor does anything else.
    """
    found = Translation()
    message = decode_body(upload.body)
    if message.faulty:
        found.refused.append("json")
        return found
    root = message.value
    order_id = upload.order_id() or member(root, "order_id")
    for location in _locations(root):
        # An event that is no location, or one of several samples that a better one follows.
        if member(location, "coords") is None or member(location, "sample") is True:
            continue
        driver_id = upload.driver_id(
            member(location, "extras", "driver_id"),
            member(root, "driver_id"),
            member(location, "extras", "device_id"),
            member(root, "device_id"),
            member(root, "device", "uuid"),
        )
        order = order_id or member(location, "extras", "order_id")
        found.add(driver_id, read_location(location, order))
    return found


def _locations(root: object) -> list[object]:
    if isinstance(root, list) or member(root, "coords") is not None:
        return items(root)
    return items(member(root, "location")) + items(member(root, "locations"))
