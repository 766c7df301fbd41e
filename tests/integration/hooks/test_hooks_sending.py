"""The sender: what arrives, in which order, signed how; and what is put into the outbox."""

import asyncio
import random
from collections import defaultdict
from datetime import timedelta

import pytest
from standardwebhooks import Webhook as Verifier

from common.backoff import Backoff
from common.webhooks.secret import shown
from consumers.hooks import courier, pace, schedule
from tests.integration.hooks.hook_sending import (
    KEYS,
    add_webhook,
    happen,
    happenings,
    run,
    sender,
    settled,
    states,
)
from tests.servers.receiver import OK, Receiver, status
from tests.wait import pace as step
from tests.wait import until


@pytest.fixture
def quick(monkeypatch):
    """Retries follow each other at once."""
    monkeypatch.setattr(schedule, "RETRY", Backoff(0.01, 0.05))
    monkeypatch.setattr(pace, "PROBE", Backoff(0.01, 0.02))
    monkeypatch.setattr(courier, "PROBING_LOOK_EVERY_S", 0.02)


def by_driver(events):
    """Ids of events of each driver, in order."""
    found = defaultdict(list)
    for event in events:
        found[event["driver_id"]].append(event["event_id"])
    return found


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
    events = [Verifier(secret).verify(request.body, request.headers) for request in posted]
    assert by_driver(events) == expected
    for request, event in zip(posted, events, strict=True):
        assert request.headers["webhook-id"] == event["event_id"]
        assert request.headers["content-type"] == "application/json"
        assert "." not in request.headers["webhook-id"]


def test_a_receiver_that_fails_at_random_gets_each_drivers_events_in_their_order(
    database_url, quick
):
    """Later events of a driver wait for the one that failed; others do not."""
    rng, taken, begun = random.Random(4), [], []

    async def moody(request, _writer):
        event = request.event
        begun.append(event["event_id"])
        await step(rng.uniform(0, 0.005))
        kind = rng.random()
        if kind < 0.2:
            return await status(rng.choice([301, 400, 404, 429, 500, 503]))(request, _writer)
        if kind < 0.3:
            return None
        taken.append(event)
        # What was taken and not said so comes again.
        return None if kind < 0.4 else OK

    async def scenario(connection):
        async with Receiver(moody) as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url)
            events = [happenings(f"d{n % 7}", 1, n)[0] for n in range(210)]
            for first in range(0, len(events), 30):
                await happen(connection, events[first : first + 30])
            await settled(connection, hook, timeout_s=60)
            assert await states(connection, hook) == {"delivered": len(events)}
            return by_driver([{"driver_id": e.driver_id, "event_id": e.event_id} for e in events])

    expected = run(database_url, scenario)
    came = by_driver(taken)
    for driver, ids in expected.items():
        # Without repeats: each once, and in order; and no repeat after a later one.
        assert list(dict.fromkeys(came[driver])) == ids
        assert came[driver] == sorted(came[driver], key=ids.index)
    assert len(begun) > 210


def test_a_410_switches_off_and_is_said(database_url, capsys):
    async def scenario(connection):
        async with Receiver(status(410)) as gone, Receiver() as good:
            hook, _ = await add_webhook(connection, "gone", gone.url)
            other, _ = await add_webhook(connection, "good", good.url)
            await happen(connection, happenings("a", 5))

            async def off():
                sql = "SELECT NOT active FROM webhooks WHERE hook = $1"
                return await connection.fetchval(sql, hook)

            async def said():
                return [e for e in good.posted if e.event["type"] == "webhook.disabled"]

            await until(off, what="it to be off")
            await until(said, what="it to be said")
            await happen(connection, happenings("a", 1, 5))
            await settled(connection, other)
            # What waited is kept; nothing new is put, and nothing more is sent.
            assert await states(connection, hook) == {"waiting": 5}
            assert len(gone.posted) == 1
            event = (await said())[0].event
            assert event["data"] == {"webhook_id": "gone", "reason": "gone"}
            row = await connection.fetchrow("SELECT * FROM webhooks WHERE hook = $1", hook)
            assert (row["active"], row["disabled_reason"]) == (False, "gone")
            assert row["disabled_at"] is not None
            # Switched on again within the day it loses nothing.
            gone.behave = good.behave
            await connection.execute("UPDATE webhooks SET active = true WHERE hook = $1", hook)
            await connection.execute("UPDATE webhook_deliveries SET due_at = now()")
            await settled(connection, hook)

    run(database_url, scenario)
    said = capsys.readouterr().out
    assert "hooks.switched_off" in said
    assert "webhook_id=gone" in said
    # An address may hold a token.
    assert "/hook" not in said


def test_for_a_day_the_old_secret_signs_too(database_url):
    async def scenario(connection):
        async with Receiver() as receiver:
            hook, first = await add_webhook(connection, "shop", receiver.url)
            seed = KEYS.new_seed()
            later = (
                "UPDATE webhooks SET previous_seed = seed, seed = $1, previous_until = now() + $2"
            )
            await connection.execute(later, seed, timedelta(hours=1))
            await connection.execute("SELECT pg_notify('fleetline_webhooks', '')")
            await happen(connection, happenings("a", 1))
            await settled(connection, hook)
            await connection.execute(later, seed, timedelta(0))
            await until(lambda: one_signature(connection, receiver))
            return receiver.posted, first, seed

    async def one_signature(connection, receiver):
        """The list is looked at again within a second or so."""
        await happen(connection, happenings("a", 1, len(receiver.posted)))
        return receiver.posted[-1].headers["webhook-signature"].count("v1,") == 1

    posted, first, seed = run(database_url, scenario)
    both = posted[0]
    assert len(both.headers["webhook-signature"].split()) == 2
    for secret in (first, shown(KEYS.secret(seed))):
        assert Verifier(secret).verify(both.body, both.headers)


def test_a_secret_whose_key_is_gone_sends_nothing_unsigned(database_url, quick):
    async def scenario(connection):
        async with Receiver() as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url, seed=b"x" * 36)
            await happen(connection, happenings("a", 1))

            async def tried():
                sql = "SELECT attempts > 1 AND error = 'key' FROM webhook_deliveries"
                return await connection.fetchval(sql)

            await until(tried)
            assert receiver.posted == []
            assert await connection.fetchval("SELECT failing_since FROM webhooks") is None
            await connection.execute("UPDATE webhooks SET seed = $1", KEYS.new_seed())
            await settled(connection, hook)

    run(database_url, scenario)


def test_several_senders_share_and_none_sends_what_another_does(database_url):
    async def scenario(connection):
        async with Receiver() as receiver, sender(database_url), sender(database_url):
            hooks = [
                (await add_webhook(connection, f"w{n}", f"{receiver.url}/{n}"))[0] for n in range(6)
            ]
            for n in range(10):
                await happen(connection, happenings("a", 5, n * 5))
            for hook in hooks:
                await settled(connection, hook)
                assert await states(connection, hook) == {"delivered": 50}
            return receiver.posted

    posted = run(database_url, scenario)
    # A share that moves while something is on its way sends it twice, at most.
    assert 300 <= len(posted) <= 300 + 6


def test_a_fresh_event_arrives_soon(database_url):
    """From the commit to the receiver; half a second is promised on a machine with time."""

    async def scenario(connection):
        async with Receiver() as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url)
            loop, stored_s = asyncio.get_running_loop(), {}
            for n in range(60):
                (event_id,) = await happen(connection, happenings(f"d{n}", 1))
                stored_s[event_id] = loop.time()
                await step(0.01)
            await settled(connection, hook)
            return sorted(p.at_s - stored_s[p.event["event_id"]] for p in receiver.posted)

    waits_s = run(database_url, scenario)
    assert waits_s[len(waits_s) // 2] < 2
