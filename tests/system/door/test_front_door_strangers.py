"""Strangers at the front door: the address they come from is not theirs to say.

The test is the load balancer (TRUSTED_PROXIES) before the door: it names the address of each
request in X-Forwarded-For, as one does.
"""

import contextlib
import itertools
import json
import re
import socket

import pytest

from common.access.policy import Role
from deploy.gateway.render import REQUESTS_PER_ADDRESS_MAX, UNBELIEVED
from tests.access import bearer, token
from tests.clients.raw_http import Reply, exchange, read_reply, request
from tests.stack import Stack

HTTP = "/api/v1/drivers/d1/location"
SOCKET = "/api/v1/drivers/orders/o1/driver-location"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Authorization": "Bearer nonsense",
}
SPOOFABLE = ["X-Real-IP", *(name for name in UNBELIEVED if not re.search("Host|Port|Proto", name))]
FIX = b'{"latitude": 1, "longitude": 2}'
# More than REFUSALS_PER_ADDRESS_MAX.
TRIES = 25

_hosts = itertools.count(1)


@pytest.fixture
def address() -> str:
    """An address that no test has used."""
    return f"198.51.100.{next(_hosts)}"


def ask(stack: Stack, target: str, forwarded: str, spoofed: dict[str, str]) -> Reply:
    fields = UPGRADE if target == SOCKET else {}
    # nginx takes the last header of a name: what the proxy adds stands behind the client's.
    return exchange(
        stack.port, request("GET", target, {**spoofed, **fields, "X-Forwarded-For": forwarded})
    )


def spoofed(value: str) -> dict[str, str]:
    return {
        name: f"for={value}" if name == "Forwarded" else value
        for name in SPOOFABLE
        if name != "X-Forwarded-For"
    }


@pytest.mark.parametrize("target", [HTTP, SOCKET])
def test_a_stranger_cannot_name_another_address(
    closed_stack: Stack, target: str, address: str
) -> None:
    # Each request named another X-Real-IP: the limit was never reached.
    answers = [
        ask(closed_stack, target, f"203.0.113.{n}, {address}", spoofed(f"203.0.113.{n}"))
        for n in range(TRIES)
    ]
    statuses = [answer.status for answer in answers]
    assert statuses == sorted(statuses)
    assert set(statuses) == {401, 429}
    assert int(answers[-1].headers["retry-after"]) <= 60
    # And those that were named are not held back in its stead.
    assert ask(closed_stack, target, "203.0.113.3", {}).status == 401


@pytest.mark.parametrize("target", [HTTP, SOCKET])
def test_a_stranger_is_not_taken_for_this_machine(
    closed_stack: Stack, target: str, address: str
) -> None:
    # Loopback is never limited.
    answers = [ask(closed_stack, target, address, spoofed("127.0.0.1")) for _ in range(TRIES)]
    assert answers[-1].status == 429


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("198.51.100.250", "198.51.100.251"),
        # A household has 2^64 of them.
        ("2001:db8:0:1::{:x}", "2001:db8:0:2::1"),
    ],
)
def test_requests_of_one_address_at_once_are_bounded(
    closed_stack: Stack, address: str, other: str
) -> None:
    # Bodies that never end are requests in work; idle connections are not.
    def post(forwarded: str, body: bytes, length: int | None = None) -> bytes:
        known = bearer(token(Role.DRIVER, "d1"))
        headers = {"X-Forwarded-For": forwarded, "Content-Type": "application/json", **known}
        return request("POST", HTTP, headers, body, length=length)

    halves = [
        post(address.format(n + 1), b"{", length=100) for n in range(REQUESTS_PER_ADDRESS_MAX + 40)
    ]
    with contextlib.ExitStack() as stack:
        senders = []
        for half in halves:
            sender = socket.create_connection(("127.0.0.1", closed_stack.port), timeout=10)
            senders.append(stack.enter_context(sender))
            sender.sendall(half)
        # Others are served meanwhile, and so is this machine.
        for served in (other, "127.0.0.1", "::1"):
            assert exchange(closed_stack.port, post(served, FIX)).status == 202
        replies = [read_reply(sender) for sender in senders]
    assert {reply.status for reply in replies} == {408, 429}
    refused = next(reply for reply in replies if reply.status == 429)
    assert json.loads(refused.body)["type"] == "/problems/too-fast"
    assert refused.headers["retry-after"] == "1"
