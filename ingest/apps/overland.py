"""Overland: batches of GeoJSON features. Only `{"result":"ok"}` takes a batch off the phone.

While its queue is long Overland also sends where it is now, as `current`. It comes again in a
later batch; both are the same fix.
"""

from ingest.apps.translation import Reading, Translation, fraction, metres_per_second
from ingest.apps.upload import Upload, decode_body, items, member


def translate(upload: Upload) -> Translation:
    """A fix for each point. Trips and visits drawn as lines are of no interest.

    Raises `InvalidUpdate` when a point names no driver, nor does anything else in the request.
    """
    found = Translation()
    batch = decode_body(upload.body)
    if batch.faulty:
        found.refused.append("json")
        return found
    features = items(member(batch.value, "locations")) + items(member(batch.value, "current"))
    points = [f for f in features if member(f, "geometry", "type") == "Point"]
    order_id = upload.order_id()
    # A device id is set in the app at any time, so older points of a queue may have none.
    known = [member(point, "properties", "device_id") for point in points]
    spare = next((name for name in reversed(known) if name), None)
    for point, name in zip(points, known, strict=True):
        found.add(upload.driver_id(name, spare), _read(point, order_id))
    return found


def _read(feature: object, order_id: str | None) -> Reading:
    position = items(member(feature, "geometry", "coordinates"))
    longitude, latitude = position[:2] if len(position) >= 2 else (None, None)
    properties = member(feature, "properties")
    return Reading(
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
