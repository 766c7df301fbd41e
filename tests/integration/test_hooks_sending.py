"""The sender against receivers of every kind: what is promised to each."""

import asyncio
from collections import defaultdict

import asyncpg
from standardwebhooks import Webhook as Verifier

from tests.integration.hook_sending import add_webhook, happen, happenings, sender, settled, states
from tests.receiver import Receiver, status


def run(url, scenario):
    """Run a scenario with a connection and a sender."""

    async def body():
        connection = await asyncpg.connect(url)
        try:
            async with sender(url):
                return await scenario(connection)
        finally:
            await connection.close()

    return asyncio.run(body())


def test_each_event_arrives_signed_and_in_its_drivers_order(database_url):
    async def scenario(connection):
        async with Receiver() as receiver:
            hook, secret = await add_webhook(connection, "shop", receiver.url)
            expected = defaultdict(list)
            for n in range(6):
                for driver in ("a", "b", "c"):
                    expected[driver] += await happen(connection, happenings(driver, 3, n * 3))
            await settled(connection, hook)
            assert await states(connection, hook) == {"delivered": 54}
            return receiver.posted, expected, secret

    posted, expected, secret = run(database_url, scenario)
    came = defaultdict(list)
    for request in posted:
        event = Verifier(secret).verify(request.body, request.headers)
        assert request.headers["webhook-id"] == event["event_id"]
        assert request.headers["content-type"] == "application/json"
        came[event["driver_id"]].append(event["event_id"])
    assert came == expected


def test_a_failing_receiver_gets_it_again_and_a_410_switches_it_off(database_url):
    async def scenario(connection):
        async with Receiver(status(500)) as bad, Receiver(status(410)) as gone, Receiver() as good:
            hooks = {
                name: (await add_webhook(connection, name, receiver.url))[0]
                for name, receiver in (("bad", bad), ("gone", gone), ("good", good))
            }
            ids = await happen(connection, happenings("a", 2))
            await settled(connection, hooks["good"])
            from tests.wait import until

            async def off():
                return await connection.fetchval(
                    "SELECT disabled_reason FROM webhooks WHERE webhook_id = 'gone'"
                )

            await until(off)
            await settled(connection, hooks["good"])
            assert good.ids[:2] == ids
            assert [p.event["type"] for p in good.posted[2:]] == ["webhook.disabled"]
            bad.behave = good.behave
            await settled(connection, hooks["bad"])
            assert len(gone.posted) == 1

    run(database_url, scenario)
