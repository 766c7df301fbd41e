"""Whom the sender connects to: public addresses alone, and who shows the right certificate."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.hooks.hook_sending import (
    add_webhook,
    happen,
    happenings,
    run,
    settled,
    states,
    tried,
    why,
)
from tests.servers.receiver import Receiver
from tests.wait import until


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
