"""Receivers of every bad kind beside a good one: each gets what is promised, nobody else pays."""

import asyncio
import datetime as dt
import functools
import ipaddress
import random
import socket
import ssl
import threading

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from common.backoff import Backoff
from consumers.hooks import dispatch, http, schedule
from consumers.hooks import pace as pacing
from consumers.hooks.pace import CONCURRENCY
from tests.integration.hook_sending import (
    add_webhook,
    happen,
    happenings,
    run,
    settled,
    states,
)
from tests.receiver import Receiver, status, take
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
            assert good.ids == ids

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


async def tried(connection, hook):
    sql = "SELECT max(attempts) FROM webhook_deliveries WHERE hook = $1"
    return await connection.fetchval(sql, hook)


async def why(connection, hook):
    sql = "SELECT error FROM webhook_deliveries WHERE hook = $1 ORDER BY attempts DESC LIMIT 1"
    return await connection.fetchval(sql, hook)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0.0.0.0", "[::ffff:127.0.0.1]"]
)
def test_nothing_here_is_connected_to_however_it_is_spelled(database_url, host):
    """Also a webhook that was stored while WEBHOOK_PRIVATE was on."""

    async def scenario(connection):
        async with Receiver() as inside:
            hook, _ = await add_webhook(connection, "here", inside.url.replace("127.0.0.1", host))
            await happen(connection, happenings("a", 1))
            await until(lambda: tried(connection, hook))
            assert await why(connection, hook) in {"address", "name"}
            assert inside.connections == 0

    run(database_url, scenario, private=False)


def test_a_name_that_changes_its_address_is_judged_where_it_is_connected_to(
    database_url, monkeypatch
):
    """DNS rebinding: the address that was looked up first says nothing about the next one."""
    asked, real = [], socket.getaddrinfo

    def resolve(host, port, *rest, **named):
        if host != "rebinding.example":
            return real(host, port, *rest, **named)
        asked.append(host)
        return real("127.0.0.1", port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def scenario(connection):
        async with Receiver() as inside:
            url = inside.url.replace("127.0.0.1", "rebinding.example")
            hook, _ = await add_webhook(connection, "far", url)
            await happen(connection, happenings("a", 1))
            await until(lambda: tried(connection, hook))
            assert await why(connection, hook) == "address"
            assert inside.connections == 0

    run(database_url, scenario, private=False)
    assert asked


def test_names_that_take_long_to_be_looked_up_delay_nobody(database_url, monkeypatch):
    real, released = socket.getaddrinfo, threading.Event()

    def resolve(host, port, *rest, **named):
        if host.startswith("slow"):
            released.wait()
        elif host != "quick.example":
            return real(host, port, *rest, **named)
        return real("127.0.0.1", port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    async def scenario(connection):
        async with Receiver() as receiver:
            for n in range(40):
                url = receiver.url.replace("127.0.0.1", f"slow-{n}.example")
                await add_webhook(connection, f"slow-{n}", url)
            await happen(connection, happenings("a", 1))
            url = receiver.url.replace("127.0.0.1", "quick.example")
            hook, _ = await add_webhook(connection, "quick", url)
            (event_id,) = await happen(connection, happenings("b", 1))
            try:
                await settled(connection, hook)
                assert receiver.ids == [event_id]
            finally:
                released.set()

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
    client = functools.partial(http.WebhookClient, timeout_s=0.5)
    monkeypatch.setattr(dispatch, "WebhookClient", client)

    async def mixed(_request, writer):
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


@pytest.fixture(scope="module")
def tls_files(tmp_path_factory):
    """A certificate of 127.0.0.1 that its own key signed, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "receiver")])
    now = dt.datetime.now(dt.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder, context


def test_a_certificate_is_checked(database_url, tls_files, monkeypatch):
    folder, context = tls_files

    async def scenario(connection):
        async with Receiver(tls=context) as receiver:
            hook, _ = await add_webhook(connection, "strange", receiver.url)
            await happen(connection, happenings("a", 1))
            await until(lambda: tried(connection, hook))
            assert await why(connection, hook) == "certificate"
            # Trusted, but another's.
            trusting = ssl.create_default_context(cafile=folder / "cert.pem")
            monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
            await connection.execute("UPDATE webhooks SET active = false")
            other, _ = await add_webhook(
                connection, "other", receiver.url.replace("127.0.0.1", "localhost")
            )
            right, _ = await add_webhook(connection, "right", receiver.url)
            await happen(connection, happenings("b", 1))
            await until(lambda: tried(connection, other))
            assert await why(connection, other) == "certificate"
            await settled(connection, right)
            assert await states(connection, right) == {"delivered": 1}
            assert len(receiver.posted) == 1

    run(database_url, scenario)
