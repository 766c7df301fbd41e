"""OsmAnd's protocol, as OsmAnd and Traccar Client speak it: one fix a request.

Traccar Client changed its form twice: a query (up to 8), a JSON object (9), a form (10 and later).
It removes a fix from its queue only on 2xx and tries every other answer again for ever, so a fix
that can never be stored is answered like one that was.
"""

from collections.abc import Iterator

from ingest.apps.reason import Reason
from ingest.apps.sdk import location_reading
from ingest.apps.tolerant import NotJson, decode_body
from ingest.apps.translation import Item, Reading
from ingest.apps.upload import Params, Upload, member, split, unknown_shape
from ingest.apps.values import knots, number

EXPECTED = "a query, a form, or the JSON of Traccar Client"

_NO = {"false", "0"}


def read(upload: Upload) -> Iterator[Item]:
    """The fix of a query, a form or a JSON object. A heartbeat without a position is no fix.

    Raises `InvalidUpdate` when the request names no driver, or is JSON of another shape.
    """
    text = upload.body.strip(b"\xef\xbb\xbf\0 \t\r\n")
    if text.startswith((b"{", b"[")) and not upload.is_form:
        yield _json_item(upload)
        return
    params = upload.params
    if text:
        params = {**split(text.decode("utf-8", "replace")), **params}
    yield _params_item(upload, params)


def _params_item(upload: Upload, params: Params) -> Item:
    driver_id = upload.driver_id(params.get("id"), params.get("deviceid"))
    latitude, longitude = params.get("lat"), params.get("lon")
    if "location" in params:
        latitude, longitude = _pair(params["location"])
    if latitude is None and longitude is None:
        return Reason.NO_INTEREST
    if params.get("valid", "").strip().lower() in _NO:
        return Reason.INVALID_POSITION
    return Reading(
        driver_id=driver_id,
        latitude=latitude,
        longitude=longitude,
        time=params.get("timestamp"),
        speed=knots(params.get("speed")),
        heading=params.get("bearing", params.get("heading")),
        accuracy=params.get("accuracy"),
        altitude=params.get("altitude"),
        battery=number(params.get("batt")),
        order_id=upload.order_id() or params.get("order_id"),
    )


def _pair(location: str) -> tuple[str, str]:
    """Latitude and longitude, parted by a comma; a decimal comma makes it three commas."""
    parts = location.split(",")
    middle = (len(parts) + 1) // 2
    return ",".join(parts[:middle]), ",".join(parts[middle:])


def _json_item(upload: Upload) -> Item:
    try:
        message = decode_body(upload.body)
    except NotJson:
        return Reason.UNREADABLE
    location = member(message, "location")
    # Without `coords` nobody says in which unit its speed is.
    if member(location, "coords") is None:
        raise unknown_shape(EXPECTED)
    driver_id = upload.driver_id(
        member(message, "device_id"), upload.params.get("id"), upload.params.get("deviceid")
    )
    return location_reading(location, driver_id, upload.order_id())
