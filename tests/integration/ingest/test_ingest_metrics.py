"""Ingest's numbers: what becomes of fixes and requests, over all workers and their deaths."""

import os
import signal

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.servers.ingest_server import ingest
from tests.wait import wait_until

ONE = "/api/v1/drivers/{}/location"
FIX = {"latitude": 53.4, "longitude": -2.9}


def samples(server):
    """Name and labels -> value, of the whole page."""
    text = httpx.get(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=5).text
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def server(redis_session):
    redis_session.clear()
    with ingest(
        REDIS_URL=redis_session.url, INGEST_WORKERS="2", RATE_FIXES_PER_S="1", RATE_BURST="5"
    ) as started:
        yield started


def counted(server, *key):
    return samples(server).get(key, 0.0)


def test_fixes_are_counted_by_what_becomes_of_them(server):
    before = samples(server)
    with httpx.Client(base_url=server.url) as client:
        for number in range(20):
            assert client.post(ONE.format(f"m-{number}"), json=FIX).status_code == 202
        assert client.post(ONE.format("m-1"), json={"latitude": 91}).status_code == 422
        # Refused before its path was looked at: it says of no media type that it is JSON.
        assert client.post(ONE.format("m-1"), content=b"{}").status_code == 415
        body = [{"driver_id": "m-2", **FIX}, {"driver_id": "m-3", "latitude": 1}]
        assert client.post("/api/v1/drivers/locations", json=body).json()["accepted"] == 1
        answers = {client.post(ONE.format("flood"), json=FIX).status_code for _ in range(8)}
        assert answers == {202, 429}
        waypoint = {"_type": "waypoint", "desc": "home"}
        assert client.post("/owntracks?u=m-4&d=x", json=waypoint).status_code == 200
        assert client.get("/nowhere/secret-token").status_code == 404

    def grown(*key):
        return counted(server, *key) - before.get(key, 0.0)

    name = "fleetline_fixes_total"
    wait_until(lambda: grown(name, "accepted") == 26, timeout_s=10)
    wait_until(lambda: grown(name, "invalid") >= 2, timeout_s=10)
    assert grown(name, "too_fast") >= 2
    assert grown("fleetline_app_items_total", "no_interest", "owntracks") == 1
    route = "/api/v1/drivers/{driver_id}/location"
    requests = "fleetline_requests_total"
    wait_until(lambda: grown(requests, route, "202", "POST") == 25, timeout_s=10)
    wait_until(lambda: grown("fleetline_request_seconds_count", route) == 29, timeout_s=10)
    assert grown(requests, route, "422", "POST") >= 1
    assert grown(requests, route, "429", "POST") >= 2
    assert grown(requests, "404", "GET", "unknown") == 1
    assert grown(requests, "415", "POST", "unknown") == 1


def test_a_worker_that_dies_takes_no_count_with_it(server):
    name = ("fleetline_fixes_total", "accepted")
    with httpx.Client(base_url=server.url) as client:
        for number in range(10):
            assert client.post(ONE.format(f"k-{number}"), json=FIX).status_code == 202
    reported = counted(server, *name)
    wait_until(lambda: counted(server, *name) >= reported)
    before = counted(server, *name)
    victim = server.process.children()[0]
    os.kill(victim.pid, signal.SIGKILL)

    def is_replaced():
        page = samples(server)
        assert page[name] >= before
        told = {key: value for key, value in page.items() if key[0].startswith("fleetline_process")}
        again = sum(v for key, v in told.items() if key[0] == "fleetline_process_restarts_total")
        # The new one has the name of the old, so nobody is said to be away for ever.
        up = {key[1]: value for key, value in told.items() if key[0] == "fleetline_process_up"}
        return again == 1 and up == {"ingest": 1, "ingest-0": 1, "ingest-1": 1}

    wait_until(is_replaced, timeout_s=20)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("7f3c-A.b_~:/+=@", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("two words", False),
        ('"quoted"', False),
    ],
)
@pytest.mark.parametrize("path", [ONE.format("r-1"), ONE.format("..."), "/api/v1/drivers/nearby"])
def test_a_request_id_comes_back_unless_it_is_odd(server, path, sent, kept):
    with httpx.Client(base_url=server.url) as client:
        for _ in range(2):
            answer = client.post(path, json=FIX, headers={"X-Request-Id": sent})
            assert answer.headers.get("x-request-id") == (sent if kept else None)
