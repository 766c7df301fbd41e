"""AUTH=off is for this machine: what a web page may not do to it, and what programs still may."""

import json
from typing import Any

import httpx
import pytest

from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

FIX: dict[str, Any] = {"latitude": 1.5, "longitude": 2.5}
BODY = json.dumps(FIX).encode()
JSON = {"content-type": "application/json"}
LOCATION, COMPLETE = "/api/v1/drivers/d/location", "/api/v1/orders/o1/complete"
APP = "capacitor://localhost"

EVIL = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
# How a page of another site may ask without being asked for permission first, and by a name of
# its own that it points at this machine.
FOREIGN = {
    "another origin": EVIL,
    "an old browser": {"origin": "https://evil.example"},
    "a hidden origin": {"origin": "null"},
    "a picture": {"sec-fetch-site": "cross-site"},
    "another port of this machine": {
        "origin": "http://127.0.0.1:3000",
        "sec-fetch-site": "same-site",
    },
    "a rebound name": {"host": "evil.example:8010", "origin": "http://evil.example:8010"},
    "a rebound name without origin": {"host": "evil.example:8010"},
}
ASKED = [
    ("GET", LOCATION, b""),
    ("GET", "/api/v1/drivers/nearby?lat=1&lng=2", b""),
    ("GET", "/api/v1/drivers/d/route", b""),
    ("GET", "/api/v1/orders/o1/location", b""),
    ("GET", "/osmand?id=d&lat=1&lon=2", b""),
    ("GET", "/health", b""),
    ("POST", LOCATION, BODY),
    ("POST", "/api/v1/drivers/locations", b"[]"),
    ("POST", COMPLETE, b""),
    ("POST", "/api/v1/orders/o1/tracking-token", b""),
    ("POST", "/osmand?id=d&lat=1&lon=2", b""),
    ("POST", "/owntracks?u=d", b'{"_type":"location","lat":1,"lon":2}'),
    ("POST", "/overland?driver_id=d", b'{"locations":[]}'),
    ("POST", "/background-geolocation", b"[]"),
]


def ask(api: httpx.Client, asked: tuple[str, str, bytes], headers: dict[str, str]) -> int:
    method, path, body = asked
    answer = api.request(method, path, content=body, headers={**JSON, **headers})
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]}")
def test_a_page_of_another_site_gets_nothing_and_changes_nothing(
    api: httpx.Client, store: Any, asked: tuple[str, str, bytes]
) -> None:
    """Any page that a developer looked at could complete orders, send fixes and read positions."""
    before = store.dbsize()
    assert {name: ask(api, asked, headers) for name, headers in FOREIGN.items()} == dict.fromkeys(
        FOREIGN, 403
    )
    assert store.dbsize() == before


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: f"{asked[0]} {asked[1]}")
@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_its_own_pages_and_programs_may_ask(
    api: httpx.Client, asked: tuple[str, str, bytes], site: str
) -> None:
    own = str(api.base_url).rstrip("/")
    for headers in ({}, {"sec-fetch-site": site}, {"origin": own, "sec-fetch-site": site}):
        assert ask(api, asked, headers) not in {403, 415}


@pytest.mark.parametrize(
    ("host", "taken"),
    [("localhost:8002", True), ("127.8.8.8", True), ("[::1]:9", True), ("10.0.2.2:8002", False)],
)
def test_names_of_this_machine(api: httpx.Client, host: str, *, taken: bool) -> None:
    answer = api.post(LOCATION, json=FIX, headers={"host": host})
    assert answer.status_code == (202 if taken else 403)
    if not taken:
        assert answer.json()["type"] == "/problems/host-not-allowed"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
@pytest.mark.parametrize("path", [LOCATION, "/api/v1/drivers/locations", COMPLETE])
def test_what_a_page_can_send_unasked_is_no_json(
    api: httpx.Client, path: str, kind: str | None
) -> None:
    headers = {} if kind is None else {"content-type": kind}
    assert api.post(path, content=BODY, headers=headers).status_code == 415


def test_a_link_may_lead_to_the_documentation(api: httpx.Client) -> None:
    navigation = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    for path in ("/docs", "/openapi.json"):
        assert api.get(path, headers=navigation).status_code == 200
        assert api.get(path, headers={"host": "evil.example"}).status_code == 403


def test_settings_name_further_hosts_and_origins(redis_server: AnyRedis) -> None:
    settings = {"ALLOWED_HOSTS": "10.0.2.2", "CORS_ORIGINS": f"{APP}, http://127.0.0.1:3000"}
    with (
        ingest(REDIS_URL=redis_server.url, **settings) as server,
        httpx.Client(base_url=server.url) as api,
    ):
        wait_until(lambda: api.get("/health").status_code == 200)
        assert api.post(LOCATION, json=FIX, headers={"host": "10.0.2.2:8002"}).status_code == 202
        assert api.post(LOCATION, json=FIX, headers={"host": "10.0.2.3:8002"}).status_code == 403
        for origin, site in ((APP, "cross-site"), ("http://127.0.0.1:3000", "same-site")):
            headers = {"origin": origin, "sec-fetch-site": site}
            answer = api.post(LOCATION, json=FIX, headers=headers)
            assert answer.status_code == 202
            assert answer.headers["access-control-allow-origin"] == origin
            assert answer.headers["vary"] == "origin"
        assert api.post(LOCATION, json=FIX, headers=EVIL).status_code == 403
        # A page of a listed origin must not be given what a cache keeps for another.
        assert api.get(LOCATION).headers["vary"] == "origin"
