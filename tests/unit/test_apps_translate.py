"""Each app's requests, as domain knowledge has them, into fixes."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from common.event import LocationUpdate
from ingest.apps import background_geolocation, osmand, overland, owntracks
from ingest.apps.translation import Translation
from ingest.apps.upload import FORM, Upload

TRANSLATORS = [module.translate for module in (owntracks, osmand, overland, background_geolocation)]
MESSAGE = {
    "_type": "location", "lat": 48.856826, "lon": 2.292713, "tst": 1497476456, "tid": "JJ",
    "acc": 12, "alt": 35, "batt": 71, "vel": 54, "cog": 271, "topic": "owntracks/jane/phone",
}  # fmt: skip
BARE = LocationUpdate(latitude=48.856826, longitude=2.292713, recorded_at=1497476456)
SDK_LOCATION = {
    "timestamp": "2025-08-28T11:51:46.587Z",
    "coords": {
        "latitude": -37.69, "longitude": 145.06, "accuracy": 4.32, "speed": 10,
        "heading": 158.44, "altitude": 103,
    },
    "is_moving": True, "odometer": 0, "event": "motionchange",
    "battery": {"level": 0.88, "is_charging": False}, "activity": {"type": "still"}, "extras": {},
}  # fmt: skip
SDK_UPDATE = LocationUpdate(
    latitude=-37.69, longitude=145.06, accuracy=4.32, speed=36.0, heading=158.44, altitude=103,
    battery=88.0, recorded_at=datetime(2025, 8, 28, 11, 51, 46, 587000, tzinfo=UTC),
)  # fmt: skip
FEATURE: dict[str, Any] = {
    "type": "Feature",
    "geometry": {"type": "Point", "coordinates": [-122.62, 45.53]},
    "properties": {
        "timestamp": "2026-01-01T10:00:00Z", "altitude": 80, "speed": 4, "horizontal_accuracy": 10,
        "motion": ["driving"], "battery_state": "charging", "battery_level": 0.8,
        "device_id": "van-1", "wifi": "",
    },
}  # fmt: skip


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


def only(found: Translation) -> tuple[str, LocationUpdate]:
    assert found.refused == []
    [fix] = found.fixes
    return fix


def test_owntracks_location() -> None:
    driver_id, update = only(owntracks.translate(Upload(as_json(MESSAGE))))
    assert driver_id == "jane"
    assert update == LocationUpdate(
        latitude=48.856826, longitude=2.292713, speed=54, heading=271, accuracy=12, altitude=35,
        battery=71, recorded_at=1497476456,
    )  # fmt: skip


def test_owntracks_leaves_out_what_is_zero() -> None:
    body = {"_type": "location", "lat": 48.856826, "lon": 2.292713, "tst": 1497476456}
    assert only(owntracks.translate(Upload(as_json(body), user="jane"))) == ("jane", BARE)


@pytest.mark.parametrize(
    ("upload", "driver_id"),
    [
        (Upload(query="driver_id=d0&u=d1", user="d2"), "d0"),
        (Upload(query="u=d1&d=phone", user="d2"), "d2"),
        (Upload(query="u=d1&d=phone"), "d1"),
        (Upload(), "jane"),
    ],
)
def test_who_an_owntracks_phone_is(upload: Upload, driver_id: str) -> None:
    upload = Upload(as_json(MESSAGE), upload.query, user=upload.user)
    assert only(owntracks.translate(upload))[0] == driver_id


@pytest.mark.parametrize(
    "body",
    [b"", b"  ", as_json([]), as_json({}), as_json({"_type": "lwt"}),
     as_json({"_type": "waypoint", "lat": 1, "lon": 2, "tst": 3}),
     as_json({"_type": "encrypted", "data": "x"})],
)  # fmt: skip
def test_owntracks_other_messages_are_ignored(body: bytes) -> None:
    assert owntracks.translate(Upload(body)) == Translation()


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        ("Basic amFuZTpzZWNyZXQ=", "jane"), ("basic amFuZTpzZWNyZXQ=", "jane"),
        ("Bearer amFuZTpzZWNyZXQ=", None), ("Basic !", None), ("Basic /w==", None), (None, None),
        ("Basic amFuZQ==", None), ("Basic YTpiOnNlY3JldA==", "a:b"),
    ],
)  # fmt: skip
def test_basic_user(authorization: str | None, user: str | None) -> None:
    assert owntracks.basic_user(authorization) == user


QUERY = {
    "id": "82879256", "lat": "-37.69", "lon": "145.06", "timestamp": "1756381906",
    "accuracy": "4.32", "altitude": "103", "speed": "10.00", "bearing": "158.44", "batt": "88",
}  # fmt: skip
QUERY_UPDATE = LocationUpdate(
    latitude=-37.69, longitude=145.06, accuracy=4.32, altitude=103, speed=18.52, heading=158.44,
    battery=88, recorded_at=1756381906,
)  # fmt: skip


@pytest.mark.parametrize(
    "upload",
    [
        Upload(query=urlencode(QUERY)),
        Upload(urlencode(QUERY).encode(), content_type=f"{FORM}; charset=utf-8"),
        Upload(urlencode(QUERY).encode(), query="token=secret", content_type=FORM),
    ],
)
def test_osmand_query_and_form(upload: Upload) -> None:
    assert only(osmand.translate(upload)) == ("82879256", QUERY_UPDATE)


def test_osmand_location_in_one_parameter() -> None:
    found = osmand.translate(Upload(query="deviceid=d&location=48.856826,2.292713"))
    assert only(found) == ("d", LocationUpdate(latitude=48.856826, longitude=2.292713))


def test_osmand_json() -> None:
    body = as_json({"location": SDK_LOCATION, "device_id": "82879256"})
    found = osmand.translate(Upload(body, content_type="application/json"))
    assert only(found) == ("82879256", SDK_UPDATE)


def test_osmand_heartbeat_without_a_position_is_ignored() -> None:
    assert osmand.translate(Upload(query="id=d&batt=5")) == Translation()


def test_osmand_invalid_is_refused() -> None:
    found = osmand.translate(Upload(query="id=d&lat=1&lon=2&valid=false"))
    assert (found.fixes, len(found.refused)) == ([], 1)


def test_overland_batch_and_current() -> None:
    line = {**FEATURE, "geometry": {"type": "LineString", "coordinates": []}}
    unnamed = {**FEATURE, "properties": {**FEATURE["properties"], "device_id": ""}}
    body = as_json({"locations": [unnamed, line, FEATURE], "current": FEATURE, "trip": {}})
    found = overland.translate(Upload(body))
    expected = LocationUpdate(
        latitude=45.53, longitude=-122.62, speed=14.4, accuracy=10, altitude=80, battery=80.0,
        recorded_at=datetime(2026, 1, 1, 10, tzinfo=UTC),
    )  # fmt: skip
    assert found == Translation([("van-1", expected)] * 3)


@pytest.mark.parametrize(
    "body",
    [
        {"location": SDK_LOCATION, "driver_id": "d"},
        {"location": [SDK_LOCATION], "driver_id": "d"},
        {"locations": [SDK_LOCATION], "device_id": "d"},
        {"location": {**SDK_LOCATION, "extras": {"driver_id": "d"}}},
        [{**SDK_LOCATION, "extras": {"driver_id": "d"}}],
        {**SDK_LOCATION, "driver_id": "d"},
    ],
)
def test_background_geolocation(body: object) -> None:
    assert only(background_geolocation.translate(Upload(as_json(body)))) == ("d", SDK_UPDATE)


def test_orders() -> None:
    located = {"location": {**SDK_LOCATION, "extras": {"order_id": "o-1"}}, "device_id": "d"}
    _, update = only(background_geolocation.translate(Upload(as_json(located))))
    assert update.order_id == "o-1"
    _, update = only(osmand.translate(Upload(query=urlencode({**QUERY, "order_id": "o-2"}))))
    assert update.order_id == "o-2"
    with pytest.raises(InvalidUpdate, match="order_id"):
        owntracks.translate(Upload(as_json(MESSAGE), query="order_id=a%20b"))


@pytest.mark.parametrize("translate", TRANSLATORS)
def test_a_position_out_of_range_is_refused_and_its_neighbours_are_not(translate) -> None:
    bad = {**SDK_LOCATION, "coords": {"latitude": 91, "longitude": 145.06}}
    upload = {
        owntracks.translate: Upload(as_json({**MESSAGE, "lat": 91})),
        osmand.translate: Upload(query=urlencode({**QUERY, "lat": "91"})),
        overland.translate: Upload(
            as_json({"locations": [
                {**FEATURE, "geometry": {"type": "Point", "coordinates": [0, 91]}}, FEATURE,
            ]})
        ),
        background_geolocation.translate: Upload(
            as_json({"location": [bad, SDK_LOCATION], "device_id": "d"})
        ),
    }[translate]  # fmt: skip
    found = translate(upload)
    assert found.refused == ["latitude"]
    batched = translate in (overland.translate, background_geolocation.translate)
    assert len(found.fixes) == int(batched)


@pytest.mark.parametrize("translate", TRANSLATORS)
def test_nobody_named_is_a_fault_of_the_set_up(translate) -> None:
    nameless = {**FEATURE, "properties": {}}
    body = {**MESSAGE, "topic": "x", "location": SDK_LOCATION, "locations": [nameless]}
    with pytest.raises(InvalidUpdate, match="driver"):
        translate(Upload(as_json(body)))
    assert {d for d, _ in translate(Upload(as_json(body), token_driver_id="d")).fixes} == {"d"}


NAMES = """
_type lat lon tst vel cog acc alt batt topic location locations current coords latitude longitude
timestamp speed heading altitude accuracy battery level geometry type coordinates properties
device_id driver_id order_id extras device uuid horizontal_accuracy
"""
KEYS = st.sampled_from(NAMES.split())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
SCRAPS = st.sampled_from(["location", "Point", "Feature", "a b", "d", "1", "-1", "é\0", "2026"])


def translated(translate, upload: Upload) -> None:
    """One of the verdicts, whatever came: fixes, refusals, nothing, or nobody named."""
    try:
        found = translate(upload)
    except InvalidUpdate as e:
        assert e.status == 422
        return
    for driver_id, update in found.fixes:
        assert driver_id
        assert -90 <= update.latitude <= 90
    assert all(found.refused)


@pytest.mark.parametrize("translate", TRANSLATORS)
@given(body=st.binary(max_size=200), query=st.text(max_size=80), form=st.booleans())
def test_any_bytes_have_a_verdict(translate, body: bytes, query: str, form: bool) -> None:
    translated(translate, Upload(body, query, FORM if form else ""))


@pytest.mark.parametrize("translate", TRANSLATORS)
@given(
    message=st.dictionaries(KEYS, JSON_VALUES | SCRAPS, max_size=8) | JSON_VALUES,
    kind=st.sampled_from(["location", "lwt"]),
)
def test_any_json_has_a_verdict(translate, message: Any, kind: str) -> None:
    if isinstance(message, dict):
        message["_type"] = kind
    translated(translate, Upload(as_json(message), token_driver_id="d"))


@pytest.mark.parametrize("translate", TRANSLATORS)
@given(st.dictionaries(st.sampled_from([*QUERY, "location", "valid"]), st.text(max_size=9)))
def test_any_form_has_a_verdict(translate, fields: dict[str, str]) -> None:
    translated(translate, Upload(query=urlencode(fields, errors="replace")))
    translated(translate, Upload(urlencode(fields, errors="replace").encode(), "", FORM))


@pytest.mark.parametrize("translate", TRANSLATORS)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"{", b'"\xff"', b"\xef\xbb\xbf{}", b'{"location":' * 5000, b"nul"]
)
def test_hostile_json_is_refused_not_an_error(translate, body: bytes) -> None:
    translated(translate, Upload(body, token_driver_id="d"))
