"""The API's description: complete, valid, and true of the running service."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import falcon
import httpx
import jsonschema_rs
import pytest
from playwright.sync_api import Browser

from common.access.claims import new_claims
from common.access.policy import Role
from common.access.signing import Signing
from common.event import LocationUpdate, encode_event
from common.keys import order_key, shard_keys, shard_of
from ingest.openapi.pages import ASSETS, POLICY
from tests.clients.browser import Visit, any_browser
from tests.servers.ingest_server import IngestServer, ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis
from tests.wait import wait_until

SHARDS = 4
EXAMPLES = 3
SECRET = "a-secret-of-the-tests-that-is-long-enough"
# A value may fit its type and still lie outside a window that moves with the clock. What apps
# send is never refused for its form: the phone would send it for ever.
CONFIG = """
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "503"]

[[operations]]
include-tag = "Apps"
checks.negative_data_rejection.enabled = false

# No planner runs beside this ingest, which says so.
[[operations]]
include-tag = "Plans"
checks.not_a_server_error.expected-statuses = ["2xx", "4xx", "503"]
"""


def explore(
    url: str, folder: Path, *options: str, phases: str = "examples,coverage,fuzzing"
) -> None:
    """Hold the service against its description, with schemathesis; fails with its report.

    Sockets are the fan-out's and are left out.
    """
    (folder / "schemathesis.toml").write_text(CONFIG)
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("st")), "run", f"{url}/openapi.json"),
            *("--exclude-tag", "Live", "--phases", phases, "--no-color"),
            *("--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink"),
            *("--continue-on-failure", "--warnings", "off", "--request-timeout", "10", *options),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def server(redis_session: AnyRedis, database: str) -> Iterator[IngestServer]:
    """An ingest with a database, for routes."""
    # Another file's tests may have left it with another number of shards.
    redis_session.clear()
    with ingest(REDIS_URL=redis_session.url, DATABASE_URL=database) as found:
        yield found


@pytest.fixture
def described(server: IngestServer, redis_server: AnyRedis) -> Iterator[httpx.Client]:
    """A client of it, once fixes are accepted."""
    with httpx.Client(base_url=server.url, timeout=10) as client:
        wait_until(lambda: client.get("/health").status_code == 200, what="ingest to accept")
        yield client


def test_the_service_does_as_described(described: httpx.Client, tmp_path: Path) -> None:
    explore(str(described.base_url).rstrip("/"), tmp_path)


@pytest.fixture(scope="module")
def closed_url(redis_session: AnyRedis, database: str) -> Iterator[str]:
    """An ingest with AUTH=on."""
    settings = {"AUTH": "on", "AUTH_SECRET": SECRET, "REFUSALS_PER_ADDRESS_MAX": "0"}
    redis_session.clear()
    with ingest(REDIS_URL=redis_session.url, DATABASE_URL=database, **settings) as found:
        wait_until(lambda: httpx.get(f"{found.url}/health").is_success, what="it to accept")
        yield found.url


# What is no question of who asks is seen above.
@pytest.mark.parametrize("role", [Role.GATEWAY, Role.OPERATOR])
def test_the_closed_service_does_as_described(closed_url: str, tmp_path: Path, role: Role) -> None:
    claims = new_claims(role, "shop", "fleetline", now=time.time(), ttl_s=600)
    token = Signing([SECRET], [], "fleetline").sign(claims)
    options = ("--header", f"Authorization: Bearer {token}")
    explore(closed_url, tmp_path, *options, phases="examples")


def put_driver(redis_server: AnyRedis, database: str) -> None:
    """A driver with a live position, an order and two rows of history."""
    now = datetime.now(UTC)
    update = LocationUpdate(latitude=1.0, longitude=2.0, order_id="o", altitude=3.0)
    event = encode_event("d", update, now, now)
    keys = shard_keys("driver-locations", shard_of("d", SHARDS), SHARDS)
    redis_server.command("HSET", keys.live, "d", event)
    redis_server.command("GEOADD", keys.geo, "2", "1", "d")
    redis_server.command("SET", order_key("o"), event)

    async def fill() -> None:
        connection = await asyncpg.connect(database)
        days = [now.date(), (now - timedelta(days=1)).date()]
        await connection.execute("SELECT fleetline_ensure_partitions($1)", days)
        for age_s in (60, 30):
            await connection.execute(
                "INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude,"
                " altitude) VALUES ('d', $1, $1, 1, 2, 3)",
                now - timedelta(seconds=age_s),
            )
        await connection.close()

    asyncio.run(fill())


def test_answers_with_content_are_as_described(
    described: httpx.Client, redis_server: AnyRedis, database: str
) -> None:
    document = described.get("/openapi.json").json()
    put_driver(redis_server, database)
    fix = {"latitude": 1, "longitude": 2}
    batch = [{"driver_id": "d", **fix}, {"driver_id": "d"}]
    asked: list[tuple[str, str, str, Any]] = [
        ("get", "/api/v1/drivers/{driver_id}/location", "", None),
        ("get", "/api/v1/drivers/{driver_id}/route", "", None),
        ("get", "/api/v1/drivers/{driver_id}/route", "?format=geojson", None),
        ("get", "/api/v1/drivers/nearby", "?lat=1&lng=2", None),
        ("get", "/api/v1/orders/{order_id}/location", "", None),
        ("post", "/api/v1/drivers/{driver_id}/location", "", fix),
        ("post", "/api/v1/drivers/locations", "", batch),
        ("post", "/api/v1/drivers/locations", "", batch[1:]),
        ("get", "/health", "", None),
    ]
    for method, path, query, body in asked:
        where = path.format(driver_id="d", order_id="o") + query
        answer = described.request(method, where, json=body)
        media_type = answer.headers["content-type"].partition(";")[0]
        responses = document["paths"][path][method]["responses"]
        response = responses[str(answer.status_code)]
        if "$ref" in response:
            response = document["components"]["responses"][str(answer.status_code)]
        schema = {**response["content"][media_type]["schema"], **document}
        jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
        found = answer.json().get("drivers", answer.json().get("points", [1]))
        assert found, "there is something to look at"


@pytest.mark.parametrize("path", ["/docs", *(f"/docs/assets/{name}" for name in ASSETS)])
def test_pages_are_served_from_here_under_a_strict_policy(
    described: httpx.Client, path: str
) -> None:
    answer = described.get(path)
    assert answer.status_code == falcon.http_status_to_code(falcon.HTTP_200)
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-encoding"] == "gzip"
    assert "unsafe" not in POLICY
    assert described.get(path, headers={"accept-encoding": "identity"}).text == answer.text
    if "html" in answer.headers["content-type"]:
        assert not re.search(r"(src|href)=.?https?:", answer.text)
        for asset in re.findall(r'(?:src|href)="(/[^"#]+)"', answer.text):
            assert described.get(asset).status_code == 200, asset


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    yield from any_browser()


def test_swagger_ui_works_under_that_policy(described: httpx.Client, browser: Browser) -> None:
    with Visit(browser, str(described.base_url.join("/docs"))) as visit:
        visit.page.locator("#operations-Health-readAlive").click()
        visit.page.get_by_text("Try it out").click()
        visit.page.get_by_text("Execute").click()
        visit.await_text(".live-responses-table", '"status": "ok"')
        assert visit.page.locator(".errors").count() == 0
