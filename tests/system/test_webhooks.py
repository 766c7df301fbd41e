"""Webhooks of a whole stack: made at the front door, sent by the role, signed with its secret."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from standardwebhooks import Webhook as Verifier

from tests.servers.receiver import Receiver
from tests.stack import Stack
from tests.wait import until

PATH = "/api/v1/webhooks/shop"
DEPOT = "/api/v1/geofences/hooked-depot"
FENCE = {
    "name": "Depot",
    "geometry": {"type": "Point", "coordinates": [-2.9, 53.4]},
    "radius_m": 100,
}
FIX = {"latitude": 53.4, "longitude": -2.9, "accuracy": 5}


def test_a_driver_who_enters_a_fence_is_told_to_the_webhook(stack: Stack) -> None:
    async def scenario() -> None:
        async with Receiver() as receiver:

            def ask(method: str, path: str, body: object = None) -> Awaitable[tuple[int, Any]]:
                return asyncio.to_thread(stack.request, method, path, body)

            hook = {
                "url": receiver.url,
                "events": ["geofence.enter"],
                "filter": {"driver_id": "hooked-*", "geofence_id": "hooked-depot"},
            }
            code, made = await ask("PUT", PATH, hook)
            assert code == 201
            code, test = await ask("POST", f"{PATH}/test")
            assert code == 202
            assert (await ask("PUT", DEPOT, FENCE))[0] == 201

            async def both_came() -> bool:
                # The engine knows the fence within a second; until then a fix is nothing to it.
                await ask("POST", "/api/v1/drivers/hooked-1/location", FIX)
                await ask("POST", "/api/v1/drivers/other-1/location", FIX)
                return len(receiver.posted) >= 2

            await until(both_came, timeout_s=20, what="the test and the event")
            verifier = Verifier(made["secret"])
            events = [verifier.verify(p.body, p.headers) for p in receiver.posted]
            assert {event["type"] for event in events} == {"webhook.test", "geofence.enter"}
            entered = next(event for event in events if event["type"] == "geofence.enter")
            assert (entered["driver_id"], entered["geofence_id"]) == ("hooked-1", "hooked-depot")
            _, feed = await ask("GET", "/api/v1/events?driver_id=hooked-1&type=geofence.enter")
            assert feed["events"] == [entered]

            async def all_told() -> bool:
                _, page = await ask("GET", f"{PATH}/deliveries?state=delivered")
                told = {delivery["event_id"] for delivery in page["deliveries"]}
                return told == {test["event_id"], entered["event_id"]}

            await until(all_told, what="it to be told")
            assert (await ask("DELETE", PATH))[0] == 204
            assert (await ask("DELETE", DEPOT))[0] == 204

    asyncio.run(scenario())


def test_the_key_is_the_homes_and_is_noted_nowhere_else(stack: Stack) -> None:
    key = (stack.home / "webhook.secret").read_text().strip()
    assert len(key) == 64
    assert (stack.home / "webhook.secret").stat().st_mode & 0o777 == 0o600
    assert key not in (stack.home / "run" / "stack.json").read_text()
