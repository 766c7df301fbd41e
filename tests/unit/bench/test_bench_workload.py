"""The workload is the same for the same seed, moves like traffic, and its orders end."""

import math
from itertools import islice, pairwise
from pathlib import Path

import orjson
import pytest

from bench.load.payload import STAMP_BYTES, get, many, one, stamp_of
from bench.load.workload import (
    BLOCK_M,
    BLOCKS,
    CENTRE,
    METRES_PER_DEG,
    SPEED_KMH,
    STEP_S,
    driver_of,
    first_order,
    recorded,
    streets,
)
from bench.scenarios.access import new_tokens
from common.access.gate import Gate, Lists
from common.access.policy import Role
from common.access.signing import Signing
from common.event import decode_update
from deploy.tools.trace.read import read_trace

TRACE = Path(__file__).parents[3] / "deploy/examples/liverpool_bus_route14.csv"


def of_driver(fixes, number):
    return [fix for fix in fixes if fix.driver_id == driver_of(number)]


def test_the_same_seed_gives_the_same_fixes():
    assert list(islice(streets(7, 20), 500)) == list(islice(streets(7, 20), 500))
    assert list(islice(streets(7, 20), 500)) != list(islice(streets(8, 20), 500))


def test_a_driver_moves_no_faster_than_his_speed():
    path = of_driver(islice(streets(1, 10), 5000), 3)
    assert len(path) == 500
    most_m = SPEED_KMH[1] / 3.6 * STEP_S + 25  # and the noise of the receiver
    for a, b in pairwise(path):
        north_m = (b.latitude - a.latitude) * METRES_PER_DEG
        east_m = (b.longitude - a.longitude) * METRES_PER_DEG * math.cos(math.radians(a.latitude))
        assert math.hypot(north_m, east_m) < most_m


def test_drivers_stay_in_town():
    reach = BLOCKS * BLOCK_M / METRES_PER_DEG
    for fix in islice(streets(2, 50), 20_000):
        assert abs(fix.latitude - CENTRE[0]) < reach
        assert abs(fix.longitude - CENTRE[1]) < reach * 2


def test_orders_start_and_end():
    path = of_driver(islice(streets(1, 5), 10_000), 2)
    assert path[0].order_id == first_order(2)
    orders = list(dict.fromkeys(fix.order_id for fix in path))
    assert len([order for order in orders if order]) > 3
    assert None in orders


def test_a_recorded_trace_is_followed():
    trace = read_trace(TRACE)
    fixes = list(islice(recorded(1, 10, trace), 100))
    assert fixes == list(islice(recorded(1, 10, trace), 100))
    known = {(f.values["latitude"], f.values["longitude"]) for f in trace.fixes}
    assert {(fix.latitude, fix.longitude) for fix in fixes} <= known


def parts(request):
    head, _, body = request.partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    named = dict(header.split(": ", 1) for header in headers)
    return line, named, body


def test_one_is_a_request_that_ingest_accepts():
    fix = next(streets(1, 1))
    stamp = stamp_of(1_764_000_000.123456)
    assert len(stamp) == STAMP_BYTES
    line, headers, body = parts(stamp.join(one(fix, "h:1")))
    assert line == f"POST /api/v1/drivers/{fix.driver_id}/location HTTP/1.1"
    assert int(headers["Content-Length"]) == len(body)
    update = decode_update(body)
    assert update.recorded_at == pytest.approx(1_764_000_000.123456)
    assert update.order_id == fix.order_id


def test_a_driver_may_bring_its_token():
    fix = next(streets(1, 1))
    tokens = new_tokens("s" * 32, [fix.driver_id])
    _, headers, body = parts(stamp_of(1_764_000_000.5).join(one(fix, "h:1", tokens[fix.driver_id])))
    assert int(headers["Content-Length"]) == len(body)
    gate = Gate(Signing(["s" * 32], [], "fleetline"), credentials_max=10)
    gate.replace(Lists())
    principal = gate.authenticate(headers["Authorization"])
    assert (principal.role, principal.driver_id) == (Role.DRIVER, fix.driver_id)


def test_many_is_a_body_with_each_fix_once():
    fixes = list(islice(streets(1, 100), 100))
    line, headers, body = parts(stamp_of(1_764_000_000.5).join(many(fixes, "h:1")))
    assert line == "POST /api/v1/drivers/locations HTTP/1.1"
    assert int(headers["Content-Length"]) == len(body)
    locations = orjson.loads(body)["locations"]
    assert [item["driver_id"] for item in locations] == [fix.driver_id for fix in fixes]
    assert {item["recorded_at"] for item in locations} == {1_764_000_000.5}


def test_get_has_no_hole_for_a_time():
    assert stamp_of(1.0).join(get("/x", "h:1")).startswith(b"GET /x HTTP/1.1\r\n")
