"""Phone apps with AUTH=on: how each shows who it is, what it may, and what too fast means to it."""

import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from common.access.claims import new_claims
from common.access.policy import Role
from common.access.signing import Signing
from tests.clients.phones import Phone, any_2xx, ios, result_ok
from tests.entries import take_events
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import ingest
from tests.wait import wait_until

SECRET = "a-secret-of-the-tests-that-is-long-enough"
AUDIENCE = "fleetline"
BURST = 4
NOW = int(time.time())


def token(role: Role, subject: str) -> str:
    claims = new_claims(role, subject, AUDIENCE, now=time.time(), ttl_s=600)
    return Signing([SECRET], [], AUDIENCE).sign(claims)


@pytest.fixture(scope="module")
def broker() -> Iterator[RedisServer]:
    with valkey() as server:
        yield server


@pytest.fixture(scope="module")
def server_url(broker: RedisServer) -> Iterator[str]:
    settings = {
        "AUTH": "on", "AUTH_SECRET": SECRET, "SHARDS": "1", "REFUSALS_PER_ADDRESS_MAX": "0",
        "RATE_FIXES_PER_S": "5", "RATE_BURST": str(BURST),
    }  # fmt: skip
    with ingest(REDIS_URL=broker.url, **settings) as found:
        yield found.url


@pytest.fixture
def api(server_url: str, broker: RedisServer) -> Iterator[httpx.Client]:
    broker.command("FLUSHALL")
    with httpx.Client(base_url=server_url, timeout=10) as client:
        wait_until(lambda: client.get("/health").status_code == 200, what="ingest to accept")
        yield client


def feature(driver: str, stamp: int = NOW, latitude: float = 1) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [2, latitude]},
        "properties": {"device_id": driver, "timestamp": stamp},
    }


def request(app: str, driver: str, credential: str, stamp: int = NOW) -> dict[str, Any]:
    """A fix of `driver`, from an app that was set up with `credential`."""
    basic = b64encode(f"{driver}:{credential}".encode()).decode()
    location = {"coords": {"latitude": 1, "longitude": 2}, "timestamp": stamp}
    sent: dict[str, Any] = {
        "owntracks": {
            "url": "/owntracks",
            "json": {"_type": "location", "lat": 1, "lon": 2, "tst": stamp},
            "headers": {"authorization": f"Basic {basic}"},
        },
        "osmand": {
            "url": "/osmand",
            "params": {"token": credential, "id": driver, "lat": 1, "lon": 2, "timestamp": stamp},
        },
        "overland": {
            "url": "/overland",
            "json": {"locations": [feature(driver, stamp)]},
            "headers": {"authorization": f"Bearer {credential}"},
        },
        "background-geolocation": {
            "url": "/background-geolocation",
            "json": {"location": location, "driver_id": driver},
            "headers": {"authorization": f"Bearer {credential}"},
        },
    }[app]
    return sent


APPS = ("owntracks", "osmand", "overland", "background-geolocation")
WHO = {
    "own driver": (Role.DRIVER, "jane", 200),
    "other driver": (Role.DRIVER, "joe", 403),
    "gateway": (Role.GATEWAY, "shop", 200),
    "operator": (Role.OPERATOR, "desk", 403),
    "tracker": (Role.TRACKER, "jane", 403),
}


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("app", APPS)
def test_who_may_send_for_jane(api: httpx.Client, app: str, who: str) -> None:
    role, subject, status = WHO[who]
    # A driver of each app's own: the rate is shared by all that one sends.
    sent = request(app, f"jane-{app}", token(role, f"{subject}-{app}"))
    assert api.post(**sent).status_code == status


STRANGERS = {
    "nothing": "?",
    "no token": "no-token",
    "no key of ours": "flk_unknown",
    "cut short": token(Role.DRIVER, "jane")[:-4],
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("app", APPS)
def test_strangers_are_not_known(api: httpx.Client, app: str, stranger: str) -> None:
    credential = STRANGERS[stranger]
    answer = api.post(**request(app, "jane", credential))
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers
    assert credential not in answer.text


def test_osmand_by_get(api: httpx.Client) -> None:
    sent = request("osmand", "jane", token(Role.DRIVER, "jane"))
    assert api.get(**sent).status_code == 200
    del sent["params"]["token"]
    assert api.get(**sent).status_code == 401


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_token_in_the_path(api: httpx.Client, broker: RedisServer, method: str) -> None:
    """Traccar Client on iOS before its rewrite puts its own query in the place of the address's."""
    credential = token(Role.DRIVER, "jane")
    fix: dict[str, Any] = {"id": "jane", "lat": 1, "lon": 2, "timestamp": NOW}
    for path in (f"/osmand/{credential}", f"/osmand/{credential}/"):
        assert api.request(method, path, params=fix).status_code == 200
    assert {event["driver_id"] for event in take_events(broker)} == {"jane"}
    assert api.request(method, f"/osmand/{credential}x", params=fix).status_code == 401
    assert api.request(method, f"/osmand/{credential}/x", params=fix).status_code == 404
    other = api.request(method, f"/osmand/{credential}", params={**fix, "id": "joe"})
    assert other.status_code == 403


def test_a_drivers_token_says_whose_fix_it_is(api: httpx.Client, broker: RedisServer) -> None:
    sent = request("background-geolocation", "", token(Role.DRIVER, "jane"))
    assert api.post(**sent).status_code == 200
    assert [event["driver_id"] for event in take_events(broker)] == ["jane"]


def test_every_fix_of_a_batch_is_looked_at(api: httpx.Client, broker: RedisServer) -> None:
    sent = request("overland", "jane", token(Role.DRIVER, "jane"))
    for other in (feature("joe"), feature("joe", NOW - 366 * 86_400), feature("joe", latitude=91)):
        sent["json"]["locations"][1:] = [other]
        assert api.post(**sent).status_code == 403
    assert take_events(broker) == []


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.TRACKER])
@pytest.mark.parametrize("app", APPS)
def test_who_may_send_nothing_is_not_even_ignored(api: httpx.Client, app: str, role: Role) -> None:
    sent = request(app, "jane", token(role, "jane"))
    sent.pop("json", None)
    if "params" in sent:
        sent["params"] = {"token": sent["params"]["token"], "id": "jane"}
    assert api.post(**sent).status_code == 403


TAKES_OFF = {"owntracks": ios, "overland": result_ok}


@pytest.mark.parametrize("app", APPS)
def test_too_fast_keeps_the_queue_and_loses_nothing(
    api: httpx.Client, broker: RedisServer, app: str
) -> None:
    driver = f"fast-{app}"
    credential = token(Role.DRIVER, driver)
    queue = [request(app, driver, credential, NOW - second) for second in range(BURST + 3)]
    path = queue[0].pop("url")
    for sent in queue[1:]:
        del sent["url"]
    phone = Phone(path, TAKES_OFF.get(app, any_2xx), queue)
    assert not phone.deliver(api)
    assert phone.answers[-1].status_code == 503
    assert int(phone.answers[-1].headers["retry-after"]) >= 1
    wait_until(lambda: phone.deliver(api), what="the queue to be delivered")
    assert phone.lost == []
    assert len(take_events(broker)) == BURST + 3


@pytest.mark.parametrize("app", APPS)
def test_what_is_not_stored_counts_towards_the_limit(api: httpx.Client, app: str) -> None:
    """A driver's own token could keep a worker busy with fixes that are never stored, for free."""
    driver = f"refused-{app}"
    credential = token(Role.DRIVER, driver)
    year_ago = request(app, driver, credential, NOW - 366 * 86_400)
    answers = [api.post(**year_ago) for _ in range(2 * BURST)]
    assert answers[0].headers["fleetline-refused"] == "1"
    assert answers[-1].status_code == 503
    good = request(app, driver, credential)
    wait_until(lambda: api.post(**good).status_code == 200, what="the driver's turn")
