"""The phone apps: how each is understood and answered. Data only."""

from dataclasses import dataclass

import falcon

from ingest.apps import background_geolocation, osmand, overland, owntracks
from ingest.apps.translation import Reader

# A request of OsmAnd's protocol is one fix, in some 300 bytes.
ONE_FIX_BYTES_MAX = 16_384


@dataclass(frozen=True, slots=True)
class PhoneApp:
    """One app."""

    name: str
    path: str
    read: Reader
    # What its bodies look like: said to people who set up another app for this path.
    expected: str
    # The body of a 200. Overland reads it, the others only look at the status.
    answer: bytes
    media_type: str = falcon.MEDIA_JSON
    # The app can send no header, so its token or key stands in its address; it also sends GETs.
    by_address: bool = False
    # The longest body in bytes, where that is less than a batch may have.
    bytes_max: int | None = None


APPS = (
    PhoneApp("owntracks", "/owntracks", owntracks.read, owntracks.EXPECTED, b"[]"),
    PhoneApp(
        "osmand",
        "/osmand",
        osmand.read,
        osmand.EXPECTED,
        b"",
        falcon.MEDIA_TEXT,
        by_address=True,
        bytes_max=ONE_FIX_BYTES_MAX,
    ),
    PhoneApp("overland", "/overland", overland.read, overland.EXPECTED, b'{"result":"ok"}'),
    PhoneApp(
        "background-geolocation",
        "/background-geolocation",
        background_geolocation.read,
        background_geolocation.EXPECTED,
        b"{}",
    ),
)
