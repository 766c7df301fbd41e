"""The apps: how each is understood and answered. Data only."""

from dataclasses import dataclass

import falcon

from ingest.apps import background_geolocation, osmand, overland, owntracks
from ingest.apps.translation import Reader

# A request of OsmAnd's protocol is one fix, in some 300 bytes.
ONE_FIX_BYTES_MAX = 16_384


@dataclass(frozen=True, slots=True)
class App:
    """One app."""

    name: str
    path: str
    read: Reader
    # What a body of the app looks like, for who set up another one.
    expected: str
    # The body of a 200; the app reads it, or nobody does.
    answer: bytes
    media_type: str = falcon.MEDIA_JSON
    # It can send no header, so its token or key stands in its address; and it also sends GETs.
    by_address: bool = False
    # Where its bodies are shorter than a batch may be.
    bytes_max: int | None = None


APPS = (
    App("owntracks", "/owntracks", owntracks.read, owntracks.EXPECTED, b"[]"),
    App(
        "osmand",
        "/osmand",
        osmand.read,
        osmand.EXPECTED,
        b"",
        falcon.MEDIA_TEXT,
        by_address=True,
        bytes_max=ONE_FIX_BYTES_MAX,
    ),
    App("overland", "/overland", overland.read, overland.EXPECTED, b'{"result":"ok"}'),
    App(
        "background-geolocation",
        "/background-geolocation",
        background_geolocation.read,
        background_geolocation.EXPECTED,
        b"{}",
    ),
)
