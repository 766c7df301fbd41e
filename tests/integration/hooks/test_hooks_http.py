"""Webhooks over HTTP: made, changed, shown, deleted; what is bounded; what is secret."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import httpx
import jsonschema_rs
import pytest

from common.webhooks.limits import WEBHOOKS_MAX
from common.webhooks.secret import SecretKeys, shown
from tests.integration.hooks.hook_sending import happen, happenings
from tests.servers.ingest_server import ingest
from tests.servers.postgres import PostgresServer
from tests.servers.redis_cluster import AnyRedis

KEY = "a-key-of-the-tests-that-is-long-enough"
HOOK = {
    "url": "https://shop.example/hook?token=sesame",
    "events": ["order.delivered", "trip.ended"],
}


@pytest.fixture(scope="module")
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


@pytest.fixture(scope="module")
def served(database: str, redis_session: AnyRedis) -> Iterator[httpx.Client]:
    settings = {"WEBHOOK_SECRET": KEY}
    with (
        ingest(REDIS_URL=redis_session.url, DATABASE_URL=database, **settings) as server,
        httpx.Client(base_url=f"{server.url}/api/v1/", timeout=15) as client,
    ):
        yield client


def ask(url: str, work: Any) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def api(served: httpx.Client, database: str) -> httpx.Client:
    """The client, and no webhooks."""
    ask(database, lambda c: c.execute("TRUNCATE webhooks, webhook_deliveries, events"))
    return served


def put(api: httpx.Client, name: str, status: int = 200, **change: Any) -> Any:
    answer = api.put(f"webhooks/{name}", json={**HOOK, **change})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_the_secret_is_shown_once_and_is_not_in_the_database(api, database):
    made = put(api, "shop", 201)
    assert made["secret"].startswith("whsec_")
    assert (made["active"], made["filter"], made["waiting"]) == (True, None, 0)
    changed = put(api, "shop", events=["trip.ended"])
    shown_again = [changed, api.get("webhooks/shop").json(), api.get("webhooks").json()["webhooks"]]
    assert "whsec_" not in str(shown_again)
    assert changed["events"] == ["trip.ended"]
    assert changed["created_at"] == made["created_at"] < changed["updated_at"]
    row = ask(database, lambda c: c.fetchrow("SELECT * FROM webhooks"))
    assert made["secret"] not in str(dict(row))
    assert shown(SecretKeys([KEY]).secret(row["seed"])) == made["secret"]


def test_another_secret_is_shown_once_and_the_old_one_signs_for_a_day(api, database):
    made = put(api, "shop", 201)
    answer = api.post("webhooks/shop/rotate-secret")
    assert answer.status_code == 200
    assert answer.json()["secret"] != made["secret"]
    row = ask(
        database, lambda c: c.fetchrow("SELECT *, previous_until - now() AS left FROM webhooks")
    )
    keys = SecretKeys([KEY])
    assert shown(keys.secret(row["seed"])) == answer.json()["secret"]
    assert shown(keys.secret(row["previous_seed"])) == made["secret"]
    assert 86_300 < row["left"].total_seconds() <= 86_400
    assert api.post("webhooks/none/rotate-secret").status_code == 404


def test_a_deleted_webhook_is_gone_and_made_anew_is_another(api, database):
    made = put(api, "shop", 201)
    assert api.delete("webhooks/shop").status_code == 204
    assert api.delete("webhooks/shop").status_code == 404
    assert api.get("webhooks/shop").status_code == 404
    assert api.get("webhooks").json() == {"count": 0, "webhooks": []}
    assert put(api, "shop", 201)["secret"] != made["secret"]
    hooks = ask(database, lambda c: c.fetch("SELECT hook FROM webhooks WHERE webhook_id = 'shop'"))
    assert len(hooks) == 2


def test_a_put_says_all_and_switches_on(api, database):
    named = {"driver_id": "van-*", "geofence_id": "depot"}
    assert put(api, "shop", 201, filter=named, active=False)["filter"] == named
    ask(database, lambda c: c.execute("UPDATE webhooks SET disabled_reason = 'gone'"))
    assert put(api, "shop", active=False)["disabled_reason"] == "gone"
    again = put(api, "shop")
    assert (again["active"], again["filter"], again["disabled_reason"]) == (True, None, None)


def test_there_are_no_more_than_the_limit(api):
    for n in range(WEBHOOKS_MAX):
        put(api, f"w{n:03}", 201)
    refused = put(api, "one-more", 409)
    assert refused["type"] == "/problems/too-many-webhooks"
    put(api, "w007")
    assert api.delete("webhooks/w007").status_code == 204
    put(api, "one-more", 201)
    assert len(api.get("webhooks").json()["webhooks"]) == WEBHOOKS_MAX


def test_what_is_wrong_is_named(api):
    bad = {"url": "http://169.254.169.254/latest", "events": ["no.such"], "filter": 7}
    answer = api.put("webhooks/shop", json=bad)
    assert answer.status_code == 422
    assert {fault["field"] for fault in answer.json()["errors"]} == {"events[0]", "filter"}
    bad = {**HOOK, "url": "http://169.254.169.254/latest"}
    assert api.put("webhooks/shop", json=bad).json()["errors"][0]["field"] == "url"
    assert api.put("webhooks/shop", content=b"{").status_code == 415
    typed = {"content-type": "application/json"}
    assert api.put("webhooks/shop", content=b"{", headers=typed).status_code == 400
    large = b'{"url": "' + b"x" * 20_000
    assert api.put("webhooks/shop", content=large, headers=typed).status_code == 413
    assert api.put("webhooks/a%20b", json=HOOK).status_code == 422
    assert api.get("webhooks").json()["count"] == 0


def test_a_test_is_put_into_the_outbox_of_a_webhook_that_is_on(api, database):
    put(api, "shop", 201)
    answer = api.post("webhooks/shop/test")
    assert answer.status_code == 202
    found = api.get("webhooks/shop/deliveries").json()["deliveries"]
    assert [(d["event_id"], d["type"], d["state"]) for d in found] == [
        (answer.json()["event_id"], "webhook.test", "waiting")
    ]
    put(api, "shop", active=False)
    off = api.post("webhooks/shop/test")
    assert (off.status_code, off.json()["type"]) == (409, "/problems/webhook-off")
    assert api.post("webhooks/none/test").status_code == 404


def test_deliveries_are_listed_newest_first_page_by_page(api, database):
    put(api, "shop", 201, events=["geofence.enter"])
    ids = ask(database, lambda c: happen(c, happenings("d", 25)))
    ask(
        database,
        lambda c: c.execute(
            "UPDATE webhook_deliveries SET state = 'dead', error = 'status', status = 500,"
            " attempts = 9, attempted_at = now(), took_ms = 3 WHERE delivery_id % 5 = 0"
        ),
    )
    path, seen = "webhooks/shop/deliveries?limit=10", []
    while path:
        answer = api.get(path)
        seen += answer.json()["deliveries"]
        path = answer.links.get("next", {}).get("url", "").removeprefix("/api/v1/")
    assert [item["event_id"] for item in seen] == ids[::-1]
    dead = api.get("webhooks/shop/deliveries?state=dead&limit=1000").json()["deliveries"]
    assert dead == [item for item in seen if item["state"] == "dead"]
    assert len(dead) == 5
    assert (dead[0]["status"], dead[0]["error"], dead[0]["next_attempt_at"]) == (
        500,
        "status",
        None,
    )
    shop = api.get("webhooks/shop").json()
    assert (shop["waiting"], shop["dead"]) == (20, 5)
    assert api.get("webhooks/none/deliveries").status_code == 404
    for query in (
        "state=lost",
        "limit=0",
        "limit=1001",
        "cursor=x",
        "cursor=-1",
        "cursor=" + "9" * 20,
    ):
        assert api.get(f"webhooks/shop/deliveries?{query}").status_code == 422, query


def test_answers_are_as_described(api, database):
    document = httpx.get(f"{str(api.base_url).removesuffix('/api/v1/')}/openapi.json").json()

    def check(method: str, path: str, status: int, **more: Any) -> Any:
        answer = api.request(method, path.format(webhook_id="shop"), **more)
        assert answer.status_code == status, answer.text
        found = document["paths"][f"/api/v1/{path.partition('?')[0]}"][method.lower()]["responses"]
        described = found[str(status)]
        if "$ref" in described:
            described = document["components"]["responses"][str(status)]
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = described["content"][media_type]["schema"]
        jsonschema_rs.Draft202012Validator({**schema, **document}).validate(answer.json())

    posted = document["webhooks"]["event"]["post"]["requestBody"]["content"]["application/json"]
    (event,) = happenings("d", 1)
    schema = {**posted["schema"], **document}
    jsonschema_rs.Draft202012Validator(schema).validate(json.loads(event.encode()))
    one = "webhooks/{webhook_id}"
    check("PUT", one, 201, json={**HOOK, "filter": {"driver_id": "van-*"}})
    check("PUT", one, 200, json={**HOOK, "events": ["geofence.enter"]})
    check("PUT", one, 422, json={})
    check("POST", f"{one}/test", 202)
    ask(database, lambda c: happen(c, happenings("d", 3)))
    ask(
        database,
        lambda c: c.execute(
            "UPDATE webhook_deliveries SET state = 'dead', error = 'status', status = 500,"
            " attempted_at = now(), took_ms = 3 WHERE delivery_id % 2 = 0"
        ),
    )
    ask(
        database,
        lambda c: c.execute(
            "UPDATE webhooks SET active = false, disabled_reason = 'gone', disabled_at = now()"
        ),
    )
    check("POST", f"{one}/test", 409)
    check("GET", f"{one}/deliveries?limit=2", 200)
    check("GET", one, 200)
    check("GET", "webhooks", 200)
    check("POST", f"{one}/rotate-secret", 200)


def test_a_put_makes_what_failed_due_again(api, database):
    put(api, "shop", 201, events=["geofence.enter"])
    ask(database, lambda c: happen(c, happenings("d", 2)))
    due = "SELECT count(*) FROM webhook_deliveries WHERE due_at <= clock_timestamp()"
    ask(
        database,
        lambda c: c.execute("UPDATE webhook_deliveries SET due_at = now() + interval '1 hour'"),
    )
    assert ask(database, lambda c: c.fetchval(due)) == 0
    put(api, "shop", events=["geofence.enter"])
    assert ask(database, lambda c: c.fetchval(due)) == 2
