"""OsmAnd's protocol, as OsmAnd and Traccar Client speak it: one fix a request.

Traccar Client changed its form twice: a query (up to 8), a JSON object (9), a form (10 and later).
It removes a fix from its queue only on 2xx and tries every other answer again for ever, so a fix
that can never be stored is answered like one that was.
"""

from ingest.apps.translation import (
    Reading,
    Translation,
    fraction,
    knots,
    metres_per_second,
    within,
)
from ingest.apps.upload import Params, Upload, decode_body, member, split

_NO = {"false", "0"}


def translate(upload: Upload) -> Translation:
    """The fix of a query, a form or a JSON object. A heartbeat without a position is no fix.

    Raises `InvalidUpdate` when the request names no driver.
    """
    text = upload.body.strip()
    if text.startswith(b"{") and not upload.is_form:
        return _translate_json(upload)
    params = upload.params
    if text:
        params = {**split(text.decode("utf-8", "replace")), **params}
    return _translate_params(upload, params)


def _translate_params(upload: Upload, params: Params) -> Translation:
    driver_id = upload.driver_id(params.get("id"), params.get("deviceid"))
    found = Translation()
    latitude, longitude = params.get("lat"), params.get("lon")
    if "location" in params:
        latitude, _, longitude = params["location"].partition(",")
    if latitude is None and longitude is None:
        return found
    if params.get("valid", "").lower() in _NO:
        found.refused.append("valid")
        return found
    reading = Reading(
        latitude=latitude,
        longitude=longitude,
        time=params.get("timestamp"),
        speed=knots(params.get("speed")),
        heading=params.get("bearing", params.get("heading")),
        accuracy=params.get("accuracy"),
        altitude=params.get("altitude"),
        battery=within(params.get("batt"), 0, 100),
        # A form's order is as good as the address's.
        order_id=upload.order_id() or params.get("order_id"),
    )
    found.add(driver_id, reading)
    return found


def _translate_json(upload: Upload) -> Translation:
    message = decode_body(upload.body)
    found = Translation()
    if message.faulty:
        found.refused.append("json")
        return found
    driver_id = upload.driver_id(
        member(message.value, "device_id"),
        upload.params.get("id"),
        upload.params.get("deviceid"),
    )
    location = member(message.value, "location")
    if member(location, "coords") is not None:
        found.add(driver_id, read_location(location, upload.order_id()))
    return found


def read_location(location: object, order_id: object) -> Reading:
    """A location of the background-geolocation SDKs, which Traccar Client 9 was built on."""
    coords = member(location, "coords")
    return Reading(
        latitude=member(coords, "latitude"),
        longitude=member(coords, "longitude"),
        time=member(location, "timestamp"),
        speed=metres_per_second(member(coords, "speed")),
        heading=member(coords, "heading"),
        accuracy=member(coords, "accuracy"),
        altitude=member(coords, "altitude"),
        battery=fraction(member(location, "battery", "level")),
        order_id=order_id,
    )
