"""OwnTracks in HTTP mode: one message a POST, any 2xx takes it off the phone's queue.

The driver is OwnTracks' *user*: the header X-Limit-U, else `?u=`, else the user of Basic
authentication, else the user in the message's topic (`owntracks/<user>/<device>`). The device is
not part of it: a driver with two phones is one driver.
"""

from base64 import b64decode

from ingest.apps.translation import Reading, Translation, within
from ingest.apps.upload import Upload, decode_body, member

# What OwnTracks puts before user and device, when a topic is not set by hand.
_TOPIC_PARTS = 3


def translate(upload: Upload) -> Translation:
    """A location is a fix; every other message, and none at all, is of no interest.

    Raises `InvalidUpdate` when the request names no driver.
    """
    found = Translation()
    if not upload.body.strip():
        return found
    message = decode_body(upload.body)
    if message.faulty:
        found.refused.append("json")
        return found
    if member(message.value, "_type") != "location":
        return found
    driver_id = upload.driver_id(
        upload.user, upload.params.get("u"), topic_user(member(message.value, "topic"))
    )
    found.add(driver_id, _read(message.value, upload.order_id()))
    return found


def _read(message: object, order_id: str | None) -> Reading:
    return Reading(
        latitude=member(message, "lat"),
        longitude=member(message, "lon"),
        time=member(message, "tst"),
        # Already km/h.
        speed=within(member(message, "vel"), 0, float("inf")),
        heading=member(message, "cog"),
        accuracy=member(message, "acc"),
        altitude=member(message, "alt"),
        battery=within(member(message, "batt"), 0, 100),
        order_id=order_id,
    )


def topic_user(topic: object) -> str | None:
    """The user in `owntracks/<user>/<device>`."""
    parts = topic.strip("/").split("/") if isinstance(topic, str) else []
    return parts[1] if len(parts) >= _TOPIC_PARTS else None


def basic_user(authorization: str | None) -> str | None:
    """The user in an Authorization header of the Basic scheme, or None."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        # A driver's id may hold colons, a token or key does not.
        user, colon, _ = b64decode(credentials.strip(), validate=True).decode().rpartition(":")
    except ValueError:
        return None
    return user if colon else None
