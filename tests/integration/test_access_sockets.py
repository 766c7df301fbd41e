"""Sockets with AUTH=on: who may watch what, and how it ends."""

import time
from typing import Any

import pytest
import redis

from common.access.policy import Role
from deploy.tools.access_store import AccessStore
from tests.access import SECRET, bearer, token
from tests.fanout_server import fanout, in_loop, publishing, until
from tests.servers import RedisServer
from tests.ws import ORDER_PATH, Refused, connect, watching

CLOSED: dict[str, Any] = {"auth": "on", "auth_secret": SECRET}
MINE, THEIRS = ORDER_PATH.format("o1"), ORDER_PATH.format("o2")
FLEET = "/api/v1/fleet/live?bbox=-1,-1,1,1"
CREDENTIALS = {
    "driver": bearer(token("driver", "d1")),
    "gateway": bearer(token("gateway", "shop")),
    "operator": bearer(token("operator", "ann")),
    "tracker": bearer(token("tracker", "o1")),
    "nobody": {},
}
ALLOWED = {
    MINE: {"gateway", "operator", "tracker"},
    THEIRS: {"gateway", "operator"},
    FLEET: {"operator"},
}


async def status_of(port: int, path: str, headers: dict[str, str]) -> int:
    try:
        client = await connect(port, path, headers=headers)
    except Refused as e:
        assert e.headers["content-type"] == "application/problem+json"
        assert ("www-authenticate" in e.headers) == (e.status == 401)
        return e.status
    client.abort()
    return 101


@pytest.fixture
def lists(redis_server: RedisServer) -> Any:
    with redis.Redis(port=redis_server.port) as client:
        yield AccessStore(client)


def test_exactly_the_allowed_cells_pass(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            port = server.settings.fanout_port
            for path, may in ALLOWED.items():
                for role, headers in CREDENTIALS.items():
                    expected = 101 if role in may else 401 if role == "nobody" else 403
                    assert await status_of(port, path, headers) == expected, (path, role)
            bad = bearer(token("tracker", "o1", exp=int(time.time()) - 1))
            assert await status_of(port, MINE, bad) == 401
            await until(lambda: not server.sessions.open)

    in_loop(main())


def test_a_token_comes_three_ways_and_is_written_nowhere(
    redis_server: RedisServer, capfd: pytest.CaptureFixture[str]
) -> None:
    good = token("tracker", "o1")

    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            port = server.settings.fanout_port
            protocols = {"Sec-WebSocket-Protocol": f"fleetline.v1, bearer.{good}"}
            for path, headers in (
                (MINE, bearer(good)),
                (MINE, protocols),
                (f"{MINE}?token={good}", {}),
            ):
                (await connect(port, path, headers=headers)).abort()
            for path in (f"{THEIRS}?token={good}", f"{MINE}?token={good[:-3]}"):
                with pytest.raises(Refused) as refused:
                    await connect(port, path)
                assert good[:20].encode() not in refused.value.body
            await until(lambda: not server.sessions.open)

    in_loop(main())
    said = capfd.readouterr()
    assert good[:60] not in said.out + said.err


def test_an_expired_token_closes_its_socket(redis_server: RedisServer) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            ends_at = int(time.time()) + 2
            link = bearer(token("tracker", "o1", exp=ends_at))
            async with watching(server.settings.fanout_port, "o1", headers=link) as client:
                assert (await client.closed()).code == 4003
                assert ends_at <= time.time() < ends_at + 2

    in_loop(main())


def test_a_revoked_token_or_key_closes_its_sockets_within_two_seconds(
    redis_server: RedisServer, lists: AccessStore
) -> None:
    key_id, key = lists.create_key(Role.OPERATOR, "map", None)

    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            port = server.settings.fanout_port
            link = bearer(token("tracker", "o1", jti="link"))
            other = bearer(token("tracker", "o1", jti="other"))
            async with (
                watching(port, "o1", headers=link) as first,
                watching(port, "o1", headers=other) as second,
                watching(port, "o9", headers=bearer(key)) as third,
            ):
                lists.revoke("jti", "link")
                assert (await first.closed(timeout_s=2)).code == 4003
                assert await status_of(port, MINE, link) == 401
                lists.revoke_key(key_id)
                assert (await third.closed(timeout_s=2)).code == 4003
                lists.revoke("sub", "o1")
                assert (await second.closed(timeout_s=2)).code == 4003
            await until(lambda: not server.sessions.open)
            assert not server.guests.sessions
            assert not server.guests._due

    in_loop(main())


def test_a_completed_order_ends_its_links(redis_server: RedisServer) -> None:
    async def main() -> None:
        link = bearer(token("tracker", "o1"))
        async with (
            fanout(redis_server.url, **CLOSED) as server,
            publishing(redis_server.url) as publisher,
        ):
            port = server.settings.fanout_port
            async with watching(port, "o1", headers=link) as client:
                await until(lambda: server.subscriptions.synced)
                await publisher.show(1)
                assert (await client.json())["type"] == "location_update"
                await publisher.end()
                assert (await client.json())["type"] == "tracking_ended"
                assert (await client.closed()).code == 4000
            async with watching(port, "o1", headers=link) as client:
                assert (await client.json())["type"] == "tracking_ended"
                assert (await client.closed()).code == 4000

    in_loop(main())


def test_the_last_known_lists_stay_in_force_while_redis_is_away(
    redis_server: RedisServer, lists: AccessStore
) -> None:
    async def main() -> None:
        lists.revoke("jti", "gone")
        gone = bearer(token("tracker", "o1", jti="gone"))
        async with fanout(redis_server.url, **CLOSED) as server:
            port = server.settings.fanout_port
            redis_server.stop()
            try:
                await until(lambda: not server.wire.up)
                assert await status_of(port, MINE, gone) == 401
                assert await status_of(port, MINE, CREDENTIALS["tracker"]) == 101
            finally:
                redis_server.start()
            await until(lambda: server.wire.up and not server.sessions.open)

    in_loop(main())


def test_addresses_are_limited(redis_server: RedisServer) -> None:
    async def main() -> None:
        limits: dict[str, Any] = {"handshakes_per_address_max": 3, "refusals_per_address_max": 2}
        async with fanout(redis_server.url, **CLOSED, **limits) as server:
            port = server.settings.fanout_port
            friend = {**CREDENTIALS["tracker"], "X-Real-IP": "203.0.113.5"}
            found = [await status_of(port, MINE, friend) for _ in range(4)]
            assert found == [101, 101, 101, 429]
            stranger = {"X-Real-IP": "203.0.113.6"}
            found = [await status_of(port, MINE, stranger) for _ in range(3)]
            assert found == [401, 401, 429]
            # Nobody speaks for another from afar, and nobody here is limited.
            found = [await status_of(port, MINE, CREDENTIALS["tracker"]) for _ in range(5)]
            assert found == [101] * 5
            await until(lambda: not server.sessions.open)

    in_loop(main())


def test_health_tells_a_stranger_only_its_status(redis_server: RedisServer) -> None:
    from tests.ws import get

    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            status, body = await get(server.settings.fanout_port, "/health/ready")
            assert (status, body) == (200, {"status": "delivering"})

    in_loop(main())
