"""What a PUT of a webhook may say, and what is said of one that may not."""

import orjson
import pytest

from common.errors import InvalidUpdate
from common.webhooks.request import decode_webhook

GOOD = {"url": "https://shop.example/hook", "events": ["geofence.enter", "order.delivered"]}


def decode(value, *, private=False):
    return decode_webhook(orjson.dumps(value), private=private)


@pytest.mark.parametrize("more", [{}, {"filter": None}, {"filter": {}}, {"unknown": 1}])
def test_the_shortest(more):
    update = decode({**GOOD, **more})
    assert (update.url, update.active) == (GOOD["url"], True)


@pytest.mark.parametrize("pattern", ["van-7", "van-*", ".*", "..*", "a:b_c.d-*", "x" * 64 + "*"])
@pytest.mark.parametrize("name", ["driver_id", "order_id", "geofence_id"])
def test_a_filter_names_an_id_or_its_beginning(name, pattern):
    assert getattr(decode({**GOOD, "filter": {name: pattern}}).filter, name) == pattern


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"url": None}, ["url"]),
        ({"url": "ftp://x"}, ["url"]),
        ({"url": "http://127.0.0.1/"}, ["url"]),
        ({"url": "https://x.example/" + "x" * 2048}, ["url"]),
        ({"events": []}, ["events"]),
        ({"events": ["geofence.enter", "no.such"]}, ["events[1]"]),
        ({"events": ["geofence.enter"] * 99}, ["events"]),
        ({"events": "geofence.enter"}, ["events"]),
        ({"filter": {"driver_id": ""}}, ["filter.driver_id"]),
        ({"filter": {"driver_id": "*"}}, ["filter.driver_id"]),
        ({"filter": {"driver_id": "a*b"}}, ["filter.driver_id"]),
        (
            {"filter": {"order_id": "..", "geofence_id": "a b"}},
            ["filter.order_id", "filter.geofence_id"],
        ),
        ({"filter": {"driver_id": "x" * 66}}, ["filter.driver_id"]),
        ({"filter": {"driver": "van-7"}}, ["filter.driver"]),
        ({"event": []}, ["event"]),
        ({"filter": 7}, ["filter"]),
        ({"active": "yes"}, ["active"]),
        ({"url": 7, "events": 7, "active": 7}, ["url", "events", "active"]),
    ],
)  # fmt: skip
def test_every_field_at_fault_is_named(change, fields):
    with pytest.raises(InvalidUpdate) as refused:
        decode({**GOOD, **change})
    assert refused.value.status == 422
    assert [fault.field for fault in refused.value.faults] == fields


def test_what_is_missing_is_named():
    with pytest.raises(InvalidUpdate) as refused:
        decode({})
    assert [fault.field for fault in refused.value.faults] == ["url", "events"]


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b"[]", 422), (b"", 400), (b"7", 422)])
def test_what_is_no_object(body, status):
    with pytest.raises(InvalidUpdate) as refused:
        decode_webhook(body, private=False)
    assert refused.value.status == status
