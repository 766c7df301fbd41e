"""Sockets with AUTH=on: who may watch what, and how it ends."""

import time
from typing import Any

import orjson
import pytest

from common.access.policy import Role
from common.problem import TOO_MANY_SOCKETS
from common.redis.client import new_client
from deploy.tools.access.store import AccessStore
from tests.access import SECRET, bearer, token
from tests.clients.ws import ORDER_PATH, Refused, connect, watching
from tests.servers.fanout_server import fanout, in_loop, publishing, until
from tests.servers.redis_cluster import AnyRedis

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
    "/api/v1/events/live": {"gateway", "operator"},
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
def lists(redis_server: AnyRedis) -> Any:
    with new_client(redis_server.url, decode=False) as client:
        yield AccessStore(client)


def test_exactly_the_allowed_cells_pass(redis_server: AnyRedis) -> None:
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
    redis_server: AnyRedis, capfd: pytest.CaptureFixture[str]
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


def test_an_expired_token_closes_its_socket(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            ends_at = int(time.time()) + 2
            link = bearer(token("tracker", "o1", exp=ends_at))
            async with watching(server.settings.fanout_port, "o1", headers=link) as client:
                assert (await client.closed()).code == 4003
                assert ends_at <= time.time() < ends_at + 2

    in_loop(main())


@pytest.mark.cluster_too
def test_a_revoked_token_or_key_closes_its_sockets_within_two_seconds(
    redis_server: AnyRedis, lists: AccessStore
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
            assert not any(server.gauges().values())

    in_loop(main())


def test_a_completed_order_ends_its_links(redis_server: AnyRedis) -> None:
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
    redis_server: AnyRedis, lists: AccessStore
) -> None:
    async def main() -> None:
        lists.revoke("jti", "gone")
        gone = bearer(token("tracker", "o1", jti="gone"))
        async with fanout(redis_server.url, **CLOSED) as server:
            port = server.settings.fanout_port
            redis_server.stop()
            try:
                await until(lambda: not server.nodes.wires[0].up)
                assert await status_of(port, MINE, gone) == 401
                assert await status_of(port, MINE, CREDENTIALS["tracker"]) == 101
            finally:
                redis_server.start()
            await until(lambda: server.nodes.wires[0].up and not server.sessions.open)

    in_loop(main())


CARRIER = {"X-Real-IP": "203.0.113.5"}


async def statuses(port: int, path: str, headers: dict[str, str], count: int) -> list[int]:
    return [await status_of(port, path, {**headers, **CARRIER}) for _ in range(count)]


def test_bad_tokens_hold_back_no_good_one_of_the_same_address(redis_server: AnyRedis) -> None:
    """Regression: 600 handshakes without a token kept a whole carrier's customers out."""

    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED, refusals_per_address_max=2) as server:
            port = server.settings.fanout_port
            assert await statuses(port, MINE, {}, 4) == [401, 401, 429, 429]
            assert await statuses(port, MINE, CREDENTIALS["tracker"], 5) == [101] * 5
            # This machine's are not limited: they are the front door's, or a developer's.
            assert [await status_of(port, MINE, {}) for _ in range(4)] == [401] * 4
            await until(lambda: not server.sessions.open)

    in_loop(main())


def test_a_link_is_limited_in_handshakes_and_no_other_with_it(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED, handshakes_per_token_max=3) as server:
            port = server.settings.fanout_port
            hasty, other = (bearer(token("tracker", "o1", jti=name)) for name in ("a", "b"))
            assert await statuses(port, MINE, hasty, 4) == [101, 101, 101, 429]
            assert await statuses(port, MINE, other, 1) == [101]
            assert await statuses(port, MINE, CREDENTIALS["gateway"], 5) == [101] * 5
            await until(lambda: not server.sessions.open)

    in_loop(main())


def test_one_link_takes_not_all_sockets(redis_server: AnyRedis) -> None:
    """Regression: one tracking link opened every socket there was."""

    async def main() -> None:
        limits: dict[str, Any] = {
            "fanout_connections_max": 40,
            "sockets_per_token_max": 3,
            "sockets_per_order_max": 5,
        }
        async with fanout(redis_server.url, **CLOSED, **limits) as server:
            port = server.settings.fanout_port
            greedy, family = (bearer(token("tracker", "o1", jti=name)) for name in ("a", "b"))
            clients = [await connect(port, MINE, headers=greedy) for _ in range(3)]
            with pytest.raises(Refused) as refused:
                await connect(port, MINE, headers=greedy)
            assert refused.value.status == 429
            assert refused.value.headers["retry-after"] == "5"
            assert orjson.loads(refused.value.body)["type"] == TOO_MANY_SOCKETS.type
            # The order has two more, whoever asks; then all its places are taken.
            clients += [await connect(port, MINE, headers=family) for _ in range(2)]
            assert await status_of(port, MINE, family) == 429
            assert await status_of(port, MINE, CREDENTIALS["gateway"]) == 429
            # Another customer comes in all the same.
            assert await status_of(port, THEIRS, bearer(token("tracker", "o2"))) == 101
            # Not even the fleet's own key takes all.
            shop = CREDENTIALS["gateway"]
            for number in range(20):
                path = ORDER_PATH.format(f"shop{number}")
                clients.append(await connect(port, path, headers=shop))
            assert await status_of(port, ORDER_PATH.format("shop20"), shop) == 429
            assert await status_of(port, THEIRS, bearer(token("tracker", "o2"))) == 101
            for client in clients:
                client.abort()
            # What goes makes room.
            await until(lambda: not server.sessions.open)
            assert await status_of(port, MINE, greedy) == 101
            await until(lambda: not server.sessions.open)

    in_loop(main())


def test_health_tells_a_stranger_only_its_status(redis_server: AnyRedis) -> None:
    from tests.clients.ws import get

    async def main() -> None:
        async with fanout(redis_server.url, **CLOSED) as server:
            status, body = await get(server.settings.fanout_port, "/health/ready")
            assert (status, body) == (200, {"status": "delivering"})

    in_loop(main())
