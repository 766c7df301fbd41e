"""OwnTracks in HTTP mode: one message a POST, any 2xx takes it off the phone's queue.

The driver is OwnTracks' *user*: the header X-Limit-U, else `?u=`, else the user of Basic
authentication, else the user in the message's topic (`owntracks/<user>/<device>`). The device is
not part of it: a driver with two phones is one driver.
"""

import re
from base64 import b64decode
from collections.abc import Iterator

from ingest.apps.reason import Reason
from ingest.apps.tolerant import NotJson, decode_body
from ingest.apps.translation import Item, Reading
from ingest.apps.upload import Upload, member, unknown_shape
from ingest.apps.values import number

EXPECTED = 'a message of OwnTracks with its "_type"'

# A topic that was set by hand to another form names nobody.
_TOPIC = re.compile(r"/?owntracks/([^/]+)/[^/]+")


def read(upload: Upload) -> Iterator[Item]:
    """A location is a fix; every other message, and none at all, is of no interest.

    Raises `InvalidUpdate` when the request names no driver, or is no message of OwnTracks.
    """
    if not upload.body.strip():
        yield Reason.NO_INTEREST
        return
    try:
        message = decode_body(upload.body)
    except NotJson:
        yield Reason.UNREADABLE
        return
    kind = member(message, "_type")
    if not isinstance(kind, str):
        raise unknown_shape(EXPECTED)
    if kind != "location":
        yield Reason.ENCRYPTED if kind == "encrypted" else Reason.NO_INTEREST
        return
    driver_id = upload.driver_id(
        upload.user, upload.params.get("u"), topic_user(member(message, "topic"))
    )
    yield _reading(message, driver_id, upload.order_id())


def _reading(message: object, driver_id: str, order_id: str | None) -> Reading:
    return Reading(
        driver_id=driver_id,
        latitude=member(message, "lat"),
        longitude=member(message, "lon"),
        time=member(message, "tst"),
        # Already km/h.
        speed=number(member(message, "vel")),
        heading=member(message, "cog"),
        accuracy=member(message, "acc"),
        altitude=member(message, "alt"),
        battery=number(member(message, "batt")),
        order_id=order_id,
    )


def topic_user(topic: object) -> str | None:
    """The user in `owntracks/<user>/<device>`, or None."""
    match = _TOPIC.fullmatch(topic) if isinstance(topic, str) else None
    return match[1] if match else None


def basic_user(authorization: str | None) -> str | None:
    """The user in an Authorization header of the Basic scheme, or None.

    It ends at the first colon (RFC 7617): what follows is the password, never an id.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, _ = b64decode(credentials.strip(), validate=True).decode().partition(":")
    except ValueError:
        return None
    return user if colon else None
