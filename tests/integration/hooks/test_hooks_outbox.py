"""The outbox: what is put into it with which events, what is due, and how long it grows."""

import asyncio
from datetime import timedelta

import asyncpg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.events.happening import Happening, HappeningType
from consumers.hooks.outbox import WebhookOutbox
from tests.integration.hooks.hook_sending import (
    add_webhook,
    happen,
    happenings,
    run,
    sender,
    settled,
    states,
)
from tests.servers.receiver import Receiver

IDS = st.one_of(st.none(), st.sampled_from(["a", "ab", "abc", "b", "a.b", "%", "_", "a%b"]))
FILTERS = st.one_of(IDS, st.sampled_from(["a*", "ab*", "abc*", "b*", "%*", "_*"]))


def fits(pattern, found):
    """The rule of a filter, told again."""
    if pattern is None:
        return True
    if found is None:
        return False
    return found.startswith(pattern[:-1]) if pattern.endswith("*") else found == pattern


def test_the_outbox_has_what_types_and_filters_say(database_url):
    async def scenario(pairs):
        connection = await asyncpg.connect(database_url)
        try:
            await connection.execute("TRUNCATE webhooks, webhook_deliveries, events")
            hooks = {}
            for n, (filters, types) in enumerate(pairs["hooks"]):
                named = dict(zip(("driver_id", "order_id", "geofence_id"), filters, strict=True))
                hook, _ = await add_webhook(connection, f"w{n}", "http://x", types, **named)
                hooks[hook] = (filters, types)
            at = happenings("a", 1)[0].at
            events = [
                Happening(type=kind, driver_id=d, order_id=o, geofence_id=g, at=at, key=str(n))
                for n, ((d, o, g), kind) in enumerate(pairs["events"])
            ]
            await happen(connection, events)
            rows = await connection.fetch(
                "SELECT hook, event_id FROM webhook_deliveries ORDER BY delivery_id"
            )
            found = {hook: [r["event_id"] for r in rows if r["hook"] == hook] for hook in hooks}
            for hook, (filters, types) in hooks.items():
                assert found[hook] == [
                    e.event_id
                    for e in events
                    if e.type in types
                    and all(map(fits, filters, (e.driver_id, e.order_id, e.geofence_id)))
                ]
        finally:
            await connection.close()

    kinds = st.sampled_from(list(HappeningType))
    webhooks = st.tuples(st.tuples(FILTERS, FILTERS, FILTERS), st.lists(kinds, min_size=1))
    events = st.tuples(st.tuples(IDS, IDS, IDS), kinds)

    @settings(
        max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        st.fixed_dictionaries(
            {
                "hooks": st.lists(webhooks, min_size=1, max_size=6),
                "events": st.lists(events, max_size=30),
            }
        )
    )
    def check(pairs):
        asyncio.run(scenario(pairs))

    check()


def test_an_event_and_its_deliveries_are_stored_together_or_not_at_all(database_url):
    async def scenario(connection):
        async with Receiver() as receiver:
            hook, _ = await add_webhook(connection, "on", receiver.url)
            off, _ = await add_webhook(connection, "off", receiver.url, active=False)
            undone = connection.transaction()
            await undone.start()
            await happen(connection, happenings("a", 3))
            await undone.rollback()
            ids = await happen(connection, happenings("b", 2))
            # Found out again: nothing new.
            await happen(connection, happenings("b", 2))
            await settled(connection, hook)
            assert receiver.ids == ids
            assert await states(connection, off) == {}

    run(database_url, scenario)


def test_without_a_sender_for_a_day_the_outbox_grows_no_more(database_url):
    async def scenario():
        connection = await asyncpg.connect(database_url)
        async with Receiver() as receiver:
            hook, _ = await add_webhook(connection, "shop", receiver.url)
            away = "UPDATE webhook_sender SET seen_at = now() - $1::interval"
            await connection.execute(away, timedelta(hours=23))
            ids = await happen(connection, happenings("a", 2))
            await connection.execute(away, timedelta(hours=25))
            await happen(connection, happenings("a", 2, 2))
            assert await states(connection, hook) == {"waiting": 2}
            async with sender(database_url):
                await settled(connection, hook)
                ids += await happen(connection, happenings("a", 2, 4))
                await settled(connection, hook)
            assert receiver.ids == ids
        await connection.close()

    asyncio.run(scenario())


def test_what_is_due_is_found_behind_thousands_that_wait_for_another(database_url):
    put = (
        "INSERT INTO webhook_deliveries (hook, event_id, type, driver_id, due_at)"
        " SELECT $1, n::text, 't', $2::text, clock_timestamp() + $3::interval"
        " FROM generate_series(1, $4::int) AS n"
    )

    async def scenario():
        connection = await asyncpg.connect(database_url)
        outbox = await WebhookOutbox.open(database_url)
        hook, _ = await add_webhook(connection, "shop", "http://127.0.0.1:9/")
        await connection.execute(put, hook, "a", timedelta(hours=1), 1)
        await connection.execute(put, hook, "a", timedelta(hours=-1), 1500)
        found, next_s = await outbox.due(hook, [], 10)
        assert found == []
        assert 3500 < next_s <= 3600
        for driver in ("b", "c", None):
            await connection.execute(put, hook, driver, timedelta(0), 2)
        found, next_s = await outbox.due(hook, [], 10)
        first = [d.delivery_id for d in found]
        # The first of b and of c, and both that are nobody's.
        assert first == [1502, 1504, 1506, 1507]
        assert 3500 < next_s <= 3600
        assert [d.delivery_id for d in (await outbox.due(hook, first[:2], 10))[0]] == first[2:]
        await outbox.close()
        await connection.close()

    asyncio.run(scenario())
