"""Sockets through the front door: who is counted, who is held back, and what a refusal says."""

import asyncio
from typing import Any

import orjson
import pytest

from common.problem import TOO_MANY_REFUSED, TOO_MANY_SOCKETS, UPGRADE_REQUIRED
from tests.access import bearer, token
from tests.clients.ws import ORDER_PATH, Client, Refused, connect
from tests.servers.fanout_server import in_loop
from tests.stack import Stack

SOCKETS_PER_TOKEN_MAX = 20


def carrier(number: int) -> dict[str, str]:
    """A carrier's address, with thousands of customers behind it, as a load balancer says it."""
    return {"X-Forwarded-For": f"192.0.2.{number}"}


def link(order_id: str) -> dict[str, str]:
    return bearer(token("tracker", order_id, jti=f"link of {order_id}"))


async def answered(port: int, order_id: str, headers: dict[str, str]) -> Client | Refused:
    try:
        return await connect(port, ORDER_PATH.format(order_id), headers=headers)
    except Refused as e:
        return e


def type_of(refused: Refused) -> Any:
    assert refused.headers["content-type"] == "application/problem+json"
    assert "no-store" in refused.headers["cache-control"]
    return orjson.loads(refused.body)["type"]


def test_bad_tokens_hold_back_nobody_behind_the_same_address(closed_stack: Stack) -> None:
    """Regression: 600 handshakes without a token, and a good link from there was 429."""

    async def main() -> None:
        port = closed_stack.port
        bad = [await answered(port, "n1", carrier(1)) for _ in range(30)]
        refused = [one for one in bad if isinstance(one, Refused)]
        assert [one.status for one in refused] == [401] * 20 + [429] * 10
        assert type_of(refused[-1]) == TOO_MANY_REFUSED.type
        good = await answered(port, "n1", {**link("n1"), **carrier(1)})
        assert isinstance(good, Client)
        good.abort()

    in_loop(main())


def test_one_link_leaves_sockets_to_others(closed_stack: Stack) -> None:
    """Regression: one tracking link took 3,000 sockets in seven seconds, and all in a minute."""

    async def main() -> None:
        port = closed_stack.port
        greedy = {**link("n2"), **carrier(2)}
        tries = await asyncio.gather(*(answered(port, "n2", greedy) for _ in range(50)))
        inside = [one for one in tries if isinstance(one, Client)]
        refused = [one for one in tries if isinstance(one, Refused)]
        assert len(inside) == SOCKETS_PER_TOKEN_MAX
        assert {(one.status, type_of(one)) for one in refused} == {(429, TOO_MANY_SOCKETS.type)}
        other = await answered(port, "n3", {**link("n3"), **carrier(2)})
        assert isinstance(other, Client)
        for client in (*inside, other):
            client.abort()

    in_loop(main())


def test_another_version_is_told_which_is_spoken(closed_stack: Stack) -> None:
    async def main() -> None:
        headers = {**link("n4"), "Sec-WebSocket-Version": "8"}
        with pytest.raises(Refused) as refused:
            await connect(closed_stack.port, ORDER_PATH.format("n4"), headers=headers)
        assert refused.value.status == 426
        assert refused.value.headers["sec-websocket-version"] == "13"
        assert type_of(refused.value) == UPGRADE_REQUIRED.type

    in_loop(main())
