"""Old is not live: what a phone delivers late is in no answer about now.

A queue that came three days late made its driver live, and nearby, for LOCATION_TTL from then on.
Values are written as the live stage would.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import order_key, shard_keys, shard_of

SHARDS = 4
# (age of the fix, seconds since it arrived, whether it is shown); LOCATION_TTL is 300 s.
AGES = [
    (0, 0, True),
    (290, 0, True),
    (310, 0, False),
    (3 * 86_400, 0, False),
    (310, 310, False),
    # Dated in the future: it counts as of its arrival.
    (-3600, 0, True),
    (-3600, 290, True),
    (-3600, 310, False),
]


@pytest.mark.cluster_too
@pytest.mark.parametrize(("recorded_s", "received_s", "shown"), AGES)
def test_the_age_of_a_position_is_its_own(
    api: httpx.Client, store: Any, recorded_s: float, received_s: float, *, shown: bool
) -> None:
    now = datetime.now(UTC)
    update = LocationUpdate(latitude=59.91, longitude=10.75, order_id="o1")
    recorded_at, received_at = (now - timedelta(seconds=age) for age in (recorded_s, received_s))
    event = encode_event("d", update, recorded_at, received_at)
    keys = shard_keys("driver-locations", shard_of("d", SHARDS), SHARDS)
    store.hset(keys.live, "d", event)
    store.geoadd(keys.geo, (10.75, 59.91, "d"))
    store.set(order_key("o1"), event)
    for path in ("/api/v1/drivers/d/location", "/api/v1/orders/o1/location"):
        answer = api.get(path)
        assert answer.status_code == (200 if shown else 404)
        if not shown:
            assert answer.json()["type"] == "/problems/no-position"
    nearby = api.get("/api/v1/drivers/nearby", params={"lat": 59.91, "lng": 10.75}).json()
    assert nearby["count"] == int(shown)


@pytest.mark.parametrize("name", ["%2E", "%2e%2e", "%2E."])
def test_a_step_in_a_path_is_nobody(api: httpx.Client, name: str) -> None:
    for method, path in (
        ("GET", f"/api/v1/drivers/{name}/location"),
        ("POST", f"/api/v1/drivers/{name}/location"),
        ("GET", f"/api/v1/orders/{name}/location"),
        ("POST", f"/api/v1/orders/{name}/complete"),
    ):
        assert api.request(method, path, json={"latitude": 1, "longitude": 2}).status_code == 422
    for body in ([{"driver_id": "..", "latitude": 1, "longitude": 2}],):
        assert api.post("/api/v1/drivers/locations", json=body).status_code == 422
