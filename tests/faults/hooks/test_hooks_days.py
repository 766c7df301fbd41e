"""Hours and days go by: nothing is lost within a day, what is given up is kept, and it is said."""

from datetime import timedelta

import pytest

from common.backoff import Backoff
from consumers.hooks import chores, courier, dispatch, pace
from consumers.hooks.chores import Chores
from consumers.hooks.outbox import WebhookOutbox
from deploy.tools.webhooks.store import HookStore
from tests.integration.hooks.hook_sending import (
    add_webhook,
    happen,
    happenings,
    pass_time,
    run,
    settled,
    states,
)
from tests.servers.receiver import Receiver, status, take
from tests.wait import until

HOUR = timedelta(hours=1)


@pytest.fixture
def quick(monkeypatch):
    """Time passes in the database; so probes, whose clock is the process', follow at once."""
    monkeypatch.setattr(pace, "PROBE", Backoff(0.01, 0.02))
    monkeypatch.setattr(courier, "PROBING_LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(dispatch, "TIDY_EVERY_S", 0.05)


async def at_rest(connection, hook):
    """Wait until everything that is due was tried, or the webhook is switched off."""
    sql = (
        "SELECT count(*) FILTER (WHERE (SELECT active FROM webhooks WHERE hook = $1))"
        " FROM (SELECT DISTINCT ON (driver_id) due_at FROM webhook_deliveries"
        " WHERE hook = $1 AND state = 'waiting' ORDER BY driver_id, delivery_id) AS first"
        " WHERE due_at <= clock_timestamp()"
    )

    async def tried():
        return await connection.fetchval(sql, hook) == 0

    await until(tried, timeout_s=20, what="what is due to be tried")


async def set_due(connection, hook):
    """The next try of each driver is due: as if its delay had gone by, and no more."""
    left = await connection.fetchval(
        "SELECT max(due_at) - clock_timestamp() FROM webhook_deliveries"
        " WHERE hook = $1 AND state = 'waiting'",
        hook,
    )
    if left is not None and left > timedelta(0):
        await pass_time(connection, left)
    return max(left or timedelta(0), timedelta(0))


def test_a_receiver_that_was_away_for_most_of_a_day_misses_nothing(database_url, quick):
    async def scenario(connection):
        async with Receiver(status(503)) as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url)
            ids, gone = [], timedelta(0)
            while gone < 23 * HOUR:
                n = len(ids)
                ids += await happen(connection, happenings(f"d{n % 3}", 1, n))
                await at_rest(connection, hook)
                gone += await set_due(connection, hook)
            assert await states(connection, hook) == {"waiting": len(ids)}
            tries = len(receiver.posted)
            receiver.behave = take
            # The first that is tried again is taken, and lets all others be due at once.
            first = "SELECT min(due_at) - clock_timestamp() FROM webhook_deliveries"
            await pass_time(connection, max(await connection.fetchval(first), timedelta(0)))
            await settled(connection, hook)
            assert await states(connection, hook) == {"delivered": len(ids)}
            taken = receiver.ids[tries:]
            assert sorted(taken) == sorted(ids)
            for driver in range(3):
                own = [i for i in taken if i in ids[driver::3]]
                assert own == ids[driver::3]
            assert await connection.fetchval("SELECT failing_since FROM webhooks") is None

    run(database_url, scenario)


def test_after_a_day_a_delivery_is_dead_and_the_next_one_has_its_turn(database_url, quick):
    """Also: kept with the reason, and sent again by a replay, with another day."""

    async def refuse_first(request, writer):
        refused = request.event["data"]["n"] == 0
        return await (status(422) if refused else take)(request, writer)

    async def scenario(connection):
        async with Receiver(refuse_first) as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url)
            first, second = await happen(connection, happenings("a", 2))
            other = await happen(connection, happenings("b", 1, 7))
            gone = timedelta(0)
            while (await states(connection, hook)).get("dead", 0) == 0:
                await at_rest(connection, hook)
                gone += await set_due(connection, hook)
                assert gone < 25 * HOUR
            assert gone > 23 * HOUR
            await settled(connection, hook)
            assert await states(connection, hook) == {"dead": 1, "delivered": 2}
            # b's went past at once, a's second only after the first was given up.
            assert receiver.ids[1] in {*other, first}
            assert receiver.ids[-1] == second
            assert receiver.ids.count(first) > 20
            dead = (await HookStore(connection).deliveries("shop", "dead", 10))[0]
            assert (dead["event_id"], dead["status"], dead["error"]) == (first, 422, "status")
            receiver.behave = take
            assert await HookStore(connection).replay("shop", None, dry_run=True) == 1
            assert await HookStore(connection).replay("shop", None, dry_run=False) == 1
            await settled(connection, hook)
            assert receiver.ids[-1] == first
            assert await states(connection, hook) == {"delivered": 3}

    run(database_url, scenario)


def test_a_webhook_that_fails_for_days_is_switched_off_and_that_is_said(database_url, quick):
    async def scenario(connection):
        async with Receiver(status(500)) as bad, Receiver() as good:
            hook, _ = await add_webhook(connection, "bad", bad.url)
            events = ["webhook.disabled"]
            other, _ = await add_webhook(connection, "good", good.url, events)
            gone, n = timedelta(0), 0
            while await connection.fetchval("SELECT active FROM webhooks WHERE hook = $1", hook):
                await happen(connection, happenings("a", 1, n))
                await at_rest(connection, hook)
                gone, n = gone + 6 * HOUR, n + 1
                await pass_time(connection, 6 * HOUR)
                assert gone < timedelta(days=5)
            assert gone > timedelta(days=3)
            await until(lambda: said(good))
            assert good.posted[0].event["data"] == {"webhook_id": "bad", "reason": "failing"}
            await settled(connection, other)
            # What waits is given up when its time is over, sent to or not.
            await pass_time(connection, 24 * HOUR)
            await settled(connection, hook)
            found = await states(connection, hook)
            assert found.keys() == {"dead"}
            assert found["dead"] >= n - 1

    async def said(receiver):
        return receiver.posted

    run(database_url, scenario)


def test_the_outbox_stays_bounded(database_url, monkeypatch):
    """The oldest are given up, the newest are kept, what is over is forgotten."""
    for name, value in (
        ("WAITING_MAX", 10), ("DELIVERED_MAX", 5), ("DEAD_MAX", 7), ("ROWS_MAX", 3),
    ):  # fmt: skip
        monkeypatch.setattr(chores, name, value)

    async def scenario(connection):
        # Off from the beginning: a sender runs, and would give up what is of no event.
        hook, _ = await add_webhook(connection, "off", "http://127.0.0.1:9/", active=False)
        outbox = await WebhookOutbox.open(database_url)
        try:
            await fill(connection, hook, 25, "waiting")
            await fill(connection, hook, 9, "delivered")
            ours = (await outbox.webhooks())[0]
            await Chores(outbox).tidy(ours, None)
            assert await states(connection, hook) == {"waiting": 10, "delivered": 5, "dead": 7}
            rows = await connection.fetch(
                "SELECT state, error, min(event_id) AS first FROM webhook_deliveries GROUP BY 1, 2"
            )
            assert {tuple(row) for row in rows} == {
                ("waiting", None, "e015"), ("dead", "backlog", "e008"), ("delivered", None, "e004"),
            }  # fmt: skip
            await Chores(outbox).tidy(ours, None)
            await pass_time(connection, timedelta(days=31))
            await Chores(outbox).tidy(ours, 0.0)
            assert await states(connection, hook) == {}
            await fill(connection, hook, 10, "waiting")
            await connection.execute("UPDATE webhooks SET removed_at = now()")
            removed = (await outbox.webhooks())[0]
            await Chores(outbox).tidy(removed, 0.0)
            assert await connection.fetchval("SELECT count(*) FROM webhook_deliveries") == 0
            assert await outbox.webhooks() == []
        finally:
            await outbox.close()

    async def fill(connection, hook, count, state):
        await connection.executemany(
            "INSERT INTO webhook_deliveries (hook, event_id, type, state) VALUES ($1, $2, 't', $3)",
            [(hook, f"e{n:03}", state) for n in range(count)],
        )

    run(database_url, scenario)
