"""What a body asks of the roads, and what is wrong with it."""

import orjson
import pytest

from common.errors import InvalidUpdate
from ingest.resources.roads.asked import AskedMatrix, AskedRoute, decode_asked

HERE = {"latitude": 47.1, "longitude": 9.5}
DRIVER = {"driver_id": "driver-7"}


def faults_of(body: object, kind=AskedMatrix) -> dict[str, str]:
    with pytest.raises(InvalidUpdate) as refused:
        decode_asked(orjson.dumps(body), kind)
    assert refused.value.status == 422
    return {fault.field: fault.detail for fault in refused.value.faults}


def test_places_and_drivers_are_taken():
    asked = decode_asked(orjson.dumps({"sources": [HERE, DRIVER], "targets": [HERE]}), AskedMatrix)
    assert [place.driver_id for place in asked.sources] == [None, "driver-7"]
    assert asked.vehicle == "car"
    route = decode_asked(orjson.dumps({"points": [DRIVER, HERE], "vehicle": "bicycle"}), AskedRoute)
    assert route.vehicle == "bicycle"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"sources", "targets"}),
        ({"sources": [], "targets": [HERE]}, {"sources"}),
        ({"sources": [HERE] * 101, "targets": [HERE]}, {"sources"}),
        ({"sources": [{}], "targets": [HERE]}, {"sources[0]"}),
        ({"sources": [HERE], "targets": [HERE, {**HERE, **DRIVER}]}, {"targets[1]"}),
        ({"sources": [HERE], "targets": [{"latitude": 1}]}, {"targets[0]"}),
        ({"sources": [HERE], "targets": [{**HERE, "latitude": 91}]}, {"targets[0].latitude"}),
        ({"sources": [{"driver_id": "../x"}], "targets": [HERE]}, {"sources[0].driver_id"}),
        ({"sources": [{"driver_id": 7}], "targets": [HERE]}, {"sources[0].driver_id"}),
        ({"sources": [HERE], "targets": ["x", None]}, {"targets[0]", "targets[1]"}),
        ({"sources": HERE, "targets": [HERE]}, {"sources"}),
        ({"sources": [HERE], "targets": [HERE], "vehicle": "tank"}, {"vehicle"}),
        ({"sources": [HERE], "targets": [HERE], "vehicle": None}, {"vehicle"}),
        ({"sources": [HERE], "targets": [HERE], "vehicles": "foot"}, {"vehicles"}),
        ({"sources": [{**HERE, "name": 1}], "targets": [HERE]}, {"sources[0].name"}),
    ],
)
def test_each_field_at_fault_is_named(body, fields):
    assert set(faults_of(body)) == fields


def test_few_faults_are_named_of_many():
    assert len(faults_of({"sources": [{}] * 100, "targets": [{}] * 100})) == 20


def test_a_way_has_two_points_or_more():
    assert set(faults_of({"points": [HERE]}, AskedRoute)) == {"points"}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"sources": [nan]}', b"[" * 100_000])
def test_what_is_no_json_is_400(body):
    with pytest.raises(InvalidUpdate) as refused:
        decode_asked(body, AskedMatrix)
    assert refused.value.status == 400


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"'])
def test_what_is_no_object_is_422(body):
    with pytest.raises(InvalidUpdate) as refused:
        decode_asked(body, AskedMatrix)
    assert refused.value.status == 422
