"""Webhooks of a whole stack: made at the front door, sent by the role, signed with its secret."""

import asyncio
from functools import partial

import asyncpg
from standardwebhooks import Webhook as Verifier

from tests.integration.hook_sending import happen, happenings
from tests.receiver import Receiver
from tests.stack import Stack
from tests.wait import until

PATH = "/api/v1/webhooks/shop"


def test_an_event_reaches_the_webhook_that_was_made_at_the_front_door(stack: Stack) -> None:
    async def scenario() -> None:
        async with Receiver() as receiver:
            ask = partial(asyncio.to_thread, stack.request)
            hook = {"url": receiver.url, "events": ["geofence.enter"]}
            code, made = await ask("PUT", PATH, hook)
            assert code == 201
            code, test = await ask("POST", f"{PATH}/test")
            assert code == 202
            connection = await asyncpg.connect(stack.database_url, timeout=5)
            ids = await happen(connection, happenings("van-7", 2))
            await connection.close()

            async def all_came() -> bool:
                return len(receiver.posted) >= 3

            await until(all_came, what="three deliveries")
            verifier = Verifier(made["secret"])
            events = [verifier.verify(p.body, p.headers) for p in receiver.posted]
            assert {event["event_id"] for event in events} == {test["event_id"], *ids}

            async def all_told() -> bool:
                _, page = await ask("GET", f"{PATH}/deliveries?state=delivered")
                return bool(page["count"] == 3)

            await until(all_told, what="it to be told")
            assert (await ask("DELETE", PATH))[0] == 204

    asyncio.run(scenario())


def test_the_key_is_the_homes_and_is_noted_nowhere_else(stack: Stack) -> None:
    key = (stack.home / "webhook.secret").read_text().strip()
    assert len(key) == 64
    assert (stack.home / "webhook.secret").stat().st_mode & 0o777 == 0o600
    assert key not in (stack.home / "run" / "stack.json").read_text()
