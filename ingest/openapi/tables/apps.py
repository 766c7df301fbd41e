"""Paths of the phone apps. Data only."""

from dataclasses import replace
from typing import Any

from common.access.policy import Action
from common.event import Id
from ingest.openapi.dated import Dated
from ingest.openapi.operation import JSON, Answer, Media, Operation, Param, answer
from ingest.openapi.shapes.apps import (
    OverlandBody,
    OverlandDone,
    OwnTracksMessage,
    SdkBody,
    TraccarBody,
)
from ingest.openapi.tables.drivers import ARRIVED, AT

EPOCH_S, EPOCH_TEXT = Dated("{epoch_s}", int), Dated("{epoch_s}")
FORM = "application/x-www-form-urlencoded"
REFUSED = "how many of the fixes can never be stored; absent when none"
WITHOUT_ORDER = "how many fixes named an order that is no id, and were stored without; or absent"
ERRORS = (400, 408, 413, 422, 503)
# What every app's address may carry, whatever the app itself sends.
NAMED = (
    Param("driver_id", Id, "The driver; wins over what the app names.", "driver-7"),
    Param("order_id", Id, "The order that all fixes of the request serve.", "order_123"),
)
MOVES_ON = (
    "A fix that can never be stored (no position, too old) is answered like one that was, so that "
    "it does not block the phone's queue. 422: nobody is named as the driver, the order in the "
    "address is none, or the body is another app's."
)
LOCATION = {
    "timestamp": ARRIVED,
    "coords": {
        "latitude": 40.7128, "longitude": -74.006, "accuracy": 4.3, "speed": 12.6,
        "heading": 158.4, "altitude": 103,
    },
    "battery": {"level": 0.88, "is_charging": False},
}  # fmt: skip
FEATURE = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [-74.006, 40.7128]},
    "properties": {
        "timestamp": AT, "speed": 12, "horizontal_accuracy": 10,
        "altitude": 80, "battery_level": 0.8, "device_id": "driver-7",
    },
}  # fmt: skip

OWNTRACKS = Operation(
    "post", "/owntracks", "sendOwnTracks", "Apps", "OwnTracks, HTTP mode",
    "The driver is OwnTracks' user: `X-Limit-U`, else `?u=`, else the user of Basic "
    f"authentication, else the user in the topic. Messages that are no location, and empty "
    f"bodies, are answered and ignored. {MOVES_ON}",
    answers={200: answer("Off the phone's queue.", list[Any], [], Fleetline_Refused=REFUSED)},
    errors=ERRORS,
    params=(
        *NAMED,
        Param("u", str, "OwnTracks' user.", "driver-7"),
        Param("d", str, "OwnTracks' device; of no importance.", "phone"),
        Param("X-Limit-U", str, "OwnTracks' user.", "driver-7", "header"),
        Param("X-Limit-D", str, "OwnTracks' device; of no importance.", "phone", "header"),
    ),
    body={
        JSON: Media(OwnTracksMessage, {
            "_type": "location", "lat": 40.7128, "lon": -74.006, "tst": EPOCH_S, "acc": 12,
            "vel": 54, "cog": 271, "batt": 71, "tid": "D7", "topic": "owntracks/driver-7/phone",
        }),
    },
    body_required=False,
    action=Action.SEND_FIX,
)  # fmt: skip

OSMAND_TEXT = (
    "One fix a request, as a query, a form, or the JSON of Traccar Client 9. A request without a "
    f"position is answered and ignored. {MOVES_ON} An app that can send no header names its "
    "token or key as `?token=`."
)
OSMAND_FIELDS = (
    Param("id", str, "The driver; also `deviceid`.", "driver-7"),
    Param("lat", str, "Degrees.", "40.7128"),
    Param("lon", str, "Degrees.", "-74.006"),
    Param("location", str, "`lat,lon`, instead of the two.", "40.7128,-74.006"),
    Param("timestamp", str, "Epoch s or ms, or ISO 8601; default now.", EPOCH_TEXT),
    Param("speed", str, "Knots.", "24.5"),
    Param("bearing", str, "Degrees from north; also `heading`.", "158.4"),
    Param("altitude", str, "Metres.", "103"),
    Param("accuracy", str, "Metres.", "4.3"),
    Param("batt", str, "Per cent.", "88"),
    Param("valid", str, "`false` or `0`: the phone itself does not trust the fix.", "true"),
)  # fmt: skip
OSMAND_ANSWERS = {
    200: Answer("Off the phone's queue.", {"text/plain": Media(None, "")},
                {"Fleetline-Refused": REFUSED, "Fleetline-Without-Order": WITHOUT_ORDER}),
}  # fmt: skip
OSMAND_GET = Operation(
    "get", "/osmand", "sendOsmAndQuery", "Apps", "OsmAnd and Traccar Client, by query",
    OSMAND_TEXT, OSMAND_ANSWERS, ERRORS, (*NAMED, *OSMAND_FIELDS),
    action=Action.SEND_FIX, schemes=("token",),
)  # fmt: skip
OSMAND_POST = Operation(
    "post", "/osmand", "sendOsmAnd", "Apps", "OsmAnd and Traccar Client",
    OSMAND_TEXT, OSMAND_ANSWERS, ERRORS, NAMED,
    body={
        FORM: Media(dict[str, str], {
            "id": "driver-7", "lat": "40.7128", "lon": "-74.006", "timestamp": EPOCH_TEXT,
            "speed": "24.50", "bearing": "158.40", "batt": "88",
        }),
        JSON: Media(TraccarBody, {"location": LOCATION, "device_id": "driver-7"}),
    },
    body_required=False,
    action=Action.SEND_FIX,
    schemes=("token",),
)  # fmt: skip
IN_PATH = Param("token", str, "A token or key; with AUTH=off of no importance.", "eyJh", "path")
OSMAND_IN_PATH = tuple(
    replace(operation, path="/osmand/{token}", name=f"{operation.name}ByPath",
            summary="The same, for apps that replace the query of their address",
            params=(IN_PATH, *operation.params))
    for operation in (OSMAND_GET, OSMAND_POST)
)  # fmt: skip
OVERLAND = Operation(
    "post", "/overland", "sendOverland", "Apps", "Overland",
    f"A batch of GeoJSON points; the driver is the app's device id. {MOVES_ON}",
    answers={
        200: answer("Off the phone's queue.", OverlandDone, {"result": "ok"},
                    Fleetline_Refused=REFUSED),
    },
    errors=ERRORS,
    params=NAMED,
    body={JSON: Media(OverlandBody, {"locations": [FEATURE]})},
    action=Action.SEND_FIX,
)  # fmt: skip
SDK = Operation(
    "post", "/background-geolocation", "sendBackgroundGeolocation", "Apps",
    "Background-geolocation SDKs",
    "One location or a batch, as `location` or `locations`, or the location itself. The driver is "
    f"`driver_id` or `device_id` among the SDK's `params`, or in `extras`. {MOVES_ON}",
    answers={
        200: answer("Deleted from the phone's database.", dict[str, Any], {},
                    Fleetline_Refused=REFUSED,
                    Fleetline_Without_Order=WITHOUT_ORDER),
    },
    errors=ERRORS,
    params=NAMED,
    body={JSON: Media(SdkBody, {"location": [LOCATION], "driver_id": "driver-7"})},
    action=Action.SEND_FIX,
)  # fmt: skip

OPERATIONS = (OWNTRACKS, OSMAND_GET, OSMAND_POST, *OSMAND_IN_PATH, OVERLAND, SDK)
