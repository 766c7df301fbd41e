"""What the apps' requests mean, whatever they hold; the usual and the odd ones are in tests/odd."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import InvalidUpdate
from ingest.apps import owntracks
from ingest.apps.upload import FORM, Upload
from tests.odd.owntracks import message
from tests.translated import APP_NAMES, translated


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("upload", "driver_id"),
    [
        (Upload(query="driver_id=d0&u=d1", user="d2"), "d0"),
        (Upload(query="u=d1&d=phone", user="d2"), "d2"),
        (Upload(query="u=d1&d=phone"), "d1"),
        (Upload(), "jane"),
        (Upload(token_driver_id="d3"), "jane"),
    ],
)
def test_who_an_owntracks_phone_is(upload: Upload, driver_id: str) -> None:
    upload = Upload(
        as_json(message()),
        upload.query,
        user=upload.user,
        token_driver_id=upload.token_driver_id,
    )
    assert [name for name, _ in translated("owntracks", upload).fixes] == [driver_id]


@pytest.mark.parametrize(
    ("authorization", "user"),
    [
        ("Basic amFuZTpzZWNyZXQ=", "jane"), ("basic amFuZTpzZWNyZXQ=", "jane"),
        ("Bearer amFuZTpzZWNyZXQ=", None), ("Basic !", None), ("Basic /w==", None), (None, None),
        ("Basic amFuZQ==", None), ("Basic YTpiOnNlY3JldA==", "a"),
    ],
)  # fmt: skip
def test_basic_user(authorization: str | None, user: str | None) -> None:
    assert owntracks.basic_user(authorization) == user


@pytest.mark.parametrize("app", APP_NAMES)
def test_a_token_names_who_is_not_named(app: str) -> None:
    location = {"coords": {"latitude": 1, "longitude": 2}}
    point = {"geometry": {"type": "Point", "coordinates": [2, 1]}}
    body = {**message(topic="x"), "location": location, "locations": [point]}
    if app == "background-geolocation":
        del body["locations"]
    with pytest.raises(InvalidUpdate, match="driver"):
        translated(app, Upload(as_json(body)))
    found = translated(app, Upload(as_json(body), token_driver_id="d"))
    assert [name for name, _ in found.fixes] == ["d"]


NAMES = """
_type lat lon lng tst vel cog acc alt batt topic location locations current coords latitude
longitude timestamp time speed heading altitude accuracy battery level geometry type coordinates
properties action event device_id driver_id order_id extras device uuid horizontal_accuracy data
"""
KEYS = st.sampled_from(NAMES.split())
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)
SCRAPS = st.sampled_from(["location", "Point", "Feature", "a b", "d", "1", "-1", "é\0", "2026"])
FIELDS = "id lat lon timestamp accuracy altitude speed bearing batt location valid order_id"


def has_a_verdict(app: str, upload: Upload) -> None:
    """Fixes in range, reasons, or a fault of the set-up, whatever came."""
    try:
        found = translated(app, upload)
    except InvalidUpdate as e:
        assert e.status == 422
        return
    for driver_id, update in found.fixes:
        assert driver_id
        assert -90 <= update.latitude <= 90
        assert -180 <= update.longitude <= 180
    assert 0 <= found.refused <= found.counts.total()


@pytest.mark.parametrize("app", APP_NAMES)
@given(body=st.binary(max_size=200), query=st.text(max_size=80), form=st.booleans())
def test_any_bytes_have_a_verdict(app: str, body: bytes, query: str, form: bool) -> None:
    has_a_verdict(app, Upload(body, query, FORM if form else ""))


@pytest.mark.parametrize("app", APP_NAMES)
@given(
    sent=st.dictionaries(KEYS, JSON_VALUES | SCRAPS, max_size=8) | JSON_VALUES,
    kind=st.sampled_from(["location", "lwt"]),
)
def test_any_json_has_a_verdict(app: str, sent: Any, kind: str) -> None:
    if isinstance(sent, dict):
        sent["_type"] = kind
    has_a_verdict(app, Upload(as_json(sent), token_driver_id="d"))


@pytest.mark.parametrize("app", APP_NAMES)
@given(st.dictionaries(st.sampled_from(FIELDS.split()), st.text(max_size=9)))
def test_any_form_has_a_verdict(app: str, fields: dict[str, str]) -> None:
    text = urlencode(fields, errors="replace")
    has_a_verdict(app, Upload(query=text))
    has_a_verdict(app, Upload(text.encode(), "", FORM))


@pytest.mark.parametrize("app", APP_NAMES)
@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b"{", b'"\xff"', b"\xef\xbb\xbf{}", b'{"location":' * 5000, b"nul"]
)
def test_hostile_json_has_a_verdict(app: str, body: bytes) -> None:
    has_a_verdict(app, Upload(body, token_driver_id="d"))
