"""Bodies and answers of phone apps, as types that the document describes."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from ingest.openapi.shapes.drivers import Maybe

Percent = Annotated[float, Meta(ge=0, le=100)]
Fraction = Annotated[float, Meta(ge=-1, le=1, description="0 to 1; -1 is unknown")]
MetresPerSecond = Annotated[float, Meta(description="m/s; -1 is unknown")]
Epoch = Annotated[int, Meta(description="epoch seconds")]


class OwnTracksMessage(msgspec.Struct, rename={"kind": "_type"}):
    """A message of OwnTracks. Only `location` is stored; others are answered and ignored."""

    kind: str
    lat: Maybe[float] = msgspec.UNSET
    lon: Maybe[float] = msgspec.UNSET
    tst: Maybe[Epoch] = msgspec.UNSET
    acc: Maybe[Annotated[float, Meta(description="metres")]] = msgspec.UNSET
    alt: Maybe[Annotated[float, Meta(description="metres")]] = msgspec.UNSET
    vel: Maybe[Annotated[float, Meta(description="km/h")]] = msgspec.UNSET
    cog: Maybe[Annotated[float, Meta(description="degrees")]] = msgspec.UNSET
    batt: Maybe[Percent] = msgspec.UNSET
    topic: Maybe[Annotated[str, Meta(description="owntracks/user/device")]] = msgspec.UNSET


class SdkCoords(msgspec.Struct):
    """Where, how fast, how exactly."""

    latitude: float
    longitude: float
    accuracy: Maybe[float] = msgspec.UNSET
    speed: Maybe[MetresPerSecond] = msgspec.UNSET
    heading: Maybe[float] = msgspec.UNSET
    altitude: Maybe[float] = msgspec.UNSET


class SdkBattery(msgspec.Struct):
    """The phone's battery."""

    level: Fraction


class SdkLocation(msgspec.Struct):
    """A location of the background-geolocation SDKs."""

    coords: SdkCoords
    timestamp: Maybe[datetime] = msgspec.UNSET
    battery: Maybe[SdkBattery] = msgspec.UNSET
    extras: Maybe[dict[str, Any]] = msgspec.UNSET


class SdkBody(msgspec.Struct):
    """One location, or many, and whose they are."""

    location: SdkLocation | list[SdkLocation]
    driver_id: Maybe[str] = msgspec.UNSET


class TraccarBody(msgspec.Struct):
    """The JSON of Traccar Client 9."""

    location: SdkLocation
    device_id: str


class OverlandBody(msgspec.Struct):
    """A batch of Overland: GeoJSON features."""

    locations: list[dict[str, Any]]
    current: Maybe[dict[str, Any]] = msgspec.UNSET


class OverlandDone(msgspec.Struct):
    """What takes a batch off the phone."""

    result: Literal["ok"]
