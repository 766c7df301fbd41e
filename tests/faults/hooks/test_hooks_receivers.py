"""Receivers of every bad kind beside a good one: each gets what is promised, nobody else pays."""

import asyncio
import functools
import random

import pytest

from common.backoff import Backoff
from consumers.hooks import dispatch, http, schedule
from consumers.hooks import pace as pacing
from consumers.hooks.pace import CONCURRENCY
from tests.integration.hooks.hook_sending import (
    add_webhook,
    happen,
    happenings,
    run,
    settled,
    tried,
    why,
)
from tests.servers.receiver import Receiver, status, take
from tests.wait import pace, until

HEAD = b"HTTP/1.1 200 OK\r\n"


async def hang(_request, _writer):
    """Take the request, and never answer."""
    await asyncio.Event().wait()


async def close(_request, _writer):
    """Close without an answer."""


async def half_a_head(_request, writer):
    """Close in the middle of the head."""
    writer.write(b"HTTP/1.1 200 O")


async def half_a_body(_request, writer):
    """Say that it was taken, and close in the middle of the rest."""
    writer.write(HEAD + b"content-length: 1000\r\n\r\nsome")


async def slow_body(_request, _writer):
    """Say that it was taken, and never end."""
    _writer.write(HEAD + b"content-length: 1000\r\n\r\nsome")
    await asyncio.Event().wait()


async def endless(_request, writer):
    """Say that it was taken, and send a body without an end."""
    writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
        await writer.drain()


async def endless_head(_request, writer):
    """Send headers without an end."""
    writer.write(HEAD)
    while True:
        writer.write(b"x-y: " + b"z" * 1000 + b"\r\n")
        await writer.drain()


async def gibberish(_request, _writer):
    """Answer something that is no HTTP."""
    return b"\x16\x03\x01 hello\r\n\r\n"


async def slow(request, writer):
    """Take its time."""
    await pace(0.2)
    return await take(request, writer)


# Kind, whether it has taken the event, and what is said of it.
KINDS = [
    (hang, False, "timeout"),
    (close, False, "connection"),
    (half_a_head, False, "connection"),
    (half_a_body, True, None),
    (slow_body, True, None),
    (endless, True, None),
    (endless_head, False, "garbled"),
    (gibberish, False, "garbled"),
    (slow, True, None),
    (status(200), True, None),
    (status(404), False, "status"),
    (status(500), False, "status"),
    (status(307, "location: http://127.0.0.1:9/"), False, "redirect"),
]


@pytest.fixture
def short_timeout(monkeypatch):
    client = functools.partial(http.WebhookClient, timeout_s=1.0)
    monkeypatch.setattr(dispatch, "WebhookClient", client)


def test_each_kind_gets_what_is_promised_and_a_good_one_waits_for_none(database_url, short_timeout):
    async def scenario(connection):
        receivers = [Receiver(behave) for behave, _, _ in KINDS]
        async with Receiver() as good:
            for receiver in receivers:
                await receiver.__aenter__()
            hooks = [
                (await add_webhook(connection, f"w{n}", receiver.url))[0]
                for n, receiver in enumerate(receivers)
            ]
            healthy, _ = await add_webhook(connection, "good", good.url)
            ids = await happen(connection, happenings("a", 20))
            await settled(connection, healthy)
            # On a busy machine the good one's answer may come too late: then it is sent again.
            assert list(dict.fromkeys(good.ids)) == ids

            async def all_tried():
                untried = "SELECT count(DISTINCT hook) FROM webhook_deliveries WHERE attempts > 0"
                return await connection.fetchval(untried) == len(hooks) + 1

            await until(all_tried)
            for hook, receiver, (_, taken, trouble) in zip(hooks, receivers, KINDS, strict=True):
                row = await connection.fetchrow(
                    "SELECT * FROM webhook_deliveries WHERE hook = $1 ORDER BY delivery_id", hook
                )
                assert (row["state"] == "delivered", row["error"]) == (taken, trouble), receiver
                # One driver, so one on its way; the next one is not sent before the first.
                assert taken or set(receiver.ids) == {ids[0]}
            for receiver in receivers:
                await receiver.__aexit__(None, None, None)

    run(database_url, scenario)


def test_a_hanging_receiver_holds_a_few_connections_and_delays_nobody(database_url):
    async def scenario(connection):
        async with Receiver(hang) as bad, Receiver() as good:
            await add_webhook(connection, "bad", bad.url)
            healthy, _ = await add_webhook(connection, "good", good.url)
            for n in range(40):
                await happen(connection, happenings(f"d{n}", 2))
            await settled(connection, healthy)
            assert len(good.posted) == 80
            await until(lambda: is_true(bad.open == CONCURRENCY))
            assert bad.open == CONCURRENCY == len(bad.posted)

    async def is_true(value):
        return value

    # The time-out of the real thing: nothing of the bad one has ended meanwhile. At its end the
    # sender drains, so the receiver lets go first.
    run(database_url, scenario)


def test_a_redirect_is_followed_nowhere(database_url):
    async def scenario(connection):
        async with Receiver() as inside:
            for code in (301, 302, 303, 307, 308):
                async with Receiver(status(code, f"location: {inside.url}")) as outside:
                    hook, _ = await add_webhook(connection, f"w{code}", outside.url)
                    await happen(connection, happenings(f"d{code}", 1))
                    await until(lambda hook=hook: tried(connection, hook))
                    assert await why(connection, hook) == "redirect"
                    assert len(outside.posted) == 1
                    await connection.execute("UPDATE webhooks SET active = false")
            assert inside.connections == 0

    run(database_url, scenario)


PARTS = (
    *(b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/9.9 ", b"200", b"204", b"307", b"410", b"999", b"0", b" "),
    *(b"OK", b"\r\n", b"\r\n\r\n", b"\n", b"\0", b"x" * 9000, b"content-length: 5"),
    *(
        b"content-length: -1",
        b"content-length: 99999999999999999999",
        b"transfer-encoding: chunked",
    ),
    *(b"5\r\nhello\r\n", b"0\r\n\r\n", b"fffffffffffffffff\r\n", b"retry-after: 1"),
    *(b"retry-after: \xff", b"location: http://[", b"set-cookie: a=b; domain=\xc3"),
    *(b"content-encoding: gzip", b"\x1f\x8b\x08", b"connection: upgrade", b"upgrade: h2c"),
    *(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 S\r\nupgrade: x\r\n\r\n"),
)


def test_whatever_a_receiver_answers_the_sender_goes_on(database_url, monkeypatch, capsys):
    """Answers that are made of pieces of answers, a few hundred of them."""
    rng = random.Random(11)
    monkeypatch.setattr(schedule, "RETRY", Backoff(3600, 3600))
    monkeypatch.setattr(pacing, "FAILURES_MAX", 10**6)

    async def mixed(_request, writer):
        # And closes: nothing has to run into a time-out, which a busy machine has for a good one.
        good = [b"HTTP/1.1 200 OK\r\n", b"content-length: 0\r\n\r\n"]
        answer = [*rng.sample(good, rng.randrange(3)), *rng.choices(PARTS, k=rng.randrange(6))]
        rng.shuffle(answer)
        writer.write(b"".join(answer))

    async def scenario(connection):
        async with Receiver(mixed) as bad, Receiver() as good:
            hook, _ = await add_webhook(connection, "bad", bad.url)
            healthy, _ = await add_webhook(connection, "good", good.url)
            await happen(connection, [happenings(f"d{n}", 1)[0] for n in range(300)])
            await settled(connection, healthy)

            async def all_tried():
                untried = (
                    "SELECT count(*) FROM webhook_deliveries"
                    " WHERE hook = $1 AND attempts = 0 AND state = 'waiting'"
                )
                active = "SELECT active FROM webhooks WHERE hook = $1"
                # A 410 among them switches it off: on with the next one.
                if not await connection.fetchval(active, hook):
                    await connection.execute("UPDATE webhooks SET active = true")
                return await connection.fetchval(untried, hook) == 0

            await until(all_tried, timeout_s=60, what="all to be tried")
            assert len(good.posted) >= 300

    run(database_url, scenario)
    assert "hooks.unforeseen" not in capsys.readouterr().out
