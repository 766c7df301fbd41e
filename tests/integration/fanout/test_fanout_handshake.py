"""Before the upgrade: every answer is HTTP of ours, whatever comes."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson
import pytest

from common.access.policy import Principal
from common.problem import (
    CROSS_SITE,
    HEAD_LATE,
    HEADERS_TOO_LARGE,
    HOST_NOT_ALLOWED,
    INVALID_VALUE,
    MALFORMED,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    NOT_IMPLEMENTED,
    ORIGIN_NOT_ALLOWED,
    SERVER_FULL,
    TOO_MANY_SOCKETS,
    UNKNOWN_CREDENTIAL,
    UPGRADE_REQUIRED,
    Problem,
)
from fanout.door.policy import WatchRequest
from fanout.sockets.answers import Rejected
from tests.access import SECRET, bearer, token
from tests.clients.ws import ORDER_PATH, Refused, connect, get, request
from tests.servers.fanout_server import QUICK, fanout, in_loop, publishing, until
from tests.servers.redis_cluster import AnyRedis

ORDER = ORDER_PATH.format("o1")
FLEET = "/api/v1/fleet/live"
# What no answer may repeat.
MARK = "<b>mark</b>"


def check(status: int, headers: dict[str, str], body: bytes, problem: Problem) -> None:
    assert (status, headers["content-type"]) == (problem.status, "application/problem+json")
    assert headers["cache-control"] == "no-store"
    assert MARK.encode() not in body
    said = orjson.loads(body)
    assert (said["type"], said["status"]) == (problem.type, problem.status)


HANDSHAKES: list[tuple[str, dict[str, str], Problem]] = [
    (ORDER_PATH.format("no%20good"), {}, INVALID_VALUE),
    (ORDER_PATH.format("x" * 65), {}, INVALID_VALUE),
    (ORDER_PATH.format(""), {}, INVALID_VALUE),
    (ORDER_PATH.format(MARK), {}, INVALID_VALUE),
    (FLEET, {}, INVALID_VALUE),
    (f"{FLEET}?bbox=1,2,3", {}, INVALID_VALUE),
    (f"{FLEET}?bbox=0,0,nan,1", {}, INVALID_VALUE),
    (f"{FLEET}?bbox=0,9,1,1", {}, INVALID_VALUE),
    (f"{FLEET}/?bbox=0,0,1,1&n=0", {}, INVALID_VALUE),
    ("/elsewhere", {}, NOT_FOUND),
    (f"/{MARK}", {}, NOT_FOUND),
    # Regression: any page, and by DNS rebinding any host, could read a developer's positions.
    (ORDER, {"Host": "evil.example"}, HOST_NOT_ALLOWED),
    ("/health/ready", {"Host": "evil.example"}, HOST_NOT_ALLOWED),
    (ORDER, {"Origin": "https://evil.example"}, CROSS_SITE),
    (ORDER, {"Origin": "null"}, CROSS_SITE),
    (ORDER, {"Sec-Fetch-Site": "cross-site"}, CROSS_SITE),
    (ORDER, {"Connection": "close"}, UPGRADE_REQUIRED),
    (ORDER, {"Upgrade": "h2c"}, UPGRADE_REQUIRED),
    # Regression: the version came back in a page of text.
    (ORDER, {"Sec-WebSocket-Version": MARK}, UPGRADE_REQUIRED),
    # Regression: two versions of the drafts were let in.
    (ORDER, {"Sec-WebSocket-Version": "8"}, UPGRADE_REQUIRED),
    (ORDER, {"Sec-WebSocket-Key": MARK}, MALFORMED),
    (ORDER, {"Sec-WebSocket-Key": ""}, MALFORMED),
    (ORDER, {"Content-Length": "5"}, MALFORMED),
    # A shop's cookies.
    (ORDER, {"Cookie": "c" * 16_384}, HEADERS_TOO_LARGE),
    (ORDER, {f"X-{n}": "x" for n in range(101)}, HEADERS_TOO_LARGE),
]


def test_refused_handshakes_are_problems(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            for path, headers, problem in HANDSHAKES:
                with pytest.raises(Refused) as refused:
                    await connect(port, path, headers=headers)
                answer = refused.value
                check(answer.status, answer.headers, answer.body, problem)
                if problem is UPGRADE_REQUIRED:
                    assert answer.headers["sec-websocket-version"] == "13"
                    assert answer.headers["upgrade"] == "websocket"
            assert server.counts.refused.total() == len(HANDSHAKES)

    in_loop(main())


def test_pages_of_other_origins_may_not_watch(redis_server: AnyRedis) -> None:
    async def main() -> None:
        closed: dict[str, Any] = {"auth": "on", "auth_secret": SECRET}
        origins = "https://shop.example,capacitor://localhost"
        async with fanout(redis_server.url, **closed, ws_origins=origins) as server:
            port = server.settings.fanout_port
            good = {**bearer(token("tracker", "o1")), "Host": "track.example"}
            for origin in ("https://evil.example", "https://track.example", "null", ""):
                with pytest.raises(Refused) as refused:
                    await connect(port, ORDER, headers={**good, "Origin": origin})
                answer = refused.value
                check(answer.status, answer.headers, answer.body, ORIGIN_NOT_ALLOWED)
            for origin in origins.split(","):
                (await connect(port, ORDER, headers={**good, "Origin": origin})).abort()
            await until(lambda: not server.sessions.open)

    in_loop(main())


RAW: list[tuple[bytes, Problem]] = [
    (b"hello\r\n\r\n", MALFORMED),
    (f"GET /{MARK}\r\n\r\n".encode(), MALFORMED),
    (f"GET / HTTP/1.1\r\n{MARK}: x\r\n\r\n".encode(), MALFORMED),
    (f"GET / HTTP/1.1\r\nX: {MARK}\r\n folded\r\n\r\n".encode(), MALFORMED),
    (b"GET / HTTP/2.0\r\n\r\n", NOT_IMPLEMENTED),
    (b"\x16\x03\x01" + b"\0" * 200 + b"\r\n\r\n", MALFORMED),
    (f"POST {ORDER} HTTP/1.1\r\nContent-Length: 9\r\n\r\n{MARK}".encode(), METHOD_NOT_ALLOWED),
    (f"GET {ORDER} HTTP/1.0\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n".encode(),
     UPGRADE_REQUIRED),
    # Far more than is read: the answer must not be lost to a reset.
    (b"GET / HTTP/1.1\r\nCookie: " + b"c" * 1_000_000, HEADERS_TOO_LARGE),
]  # fmt: skip


def test_what_is_no_request_of_ours_is_a_problem(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(
            redis_server.url, tuning=replace(QUICK, handshake_timeout_s=0.5)
        ) as server:
            port = server.settings.fanout_port
            for data, problem in RAW:
                check(*await request(port, data), problem)
            # Half a request, and nothing at all.
            check(*await request(port, b"GET / HTTP/1.1\r\n"), HEAD_LATE)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await request(port, b"")
            await until(lambda: not server.connections.open)

    in_loop(main())


def test_a_head_is_answered_as_a_get_without_its_body(redis_server: AnyRedis) -> None:
    # What broke: HEAD was refused with a body, which ends where the next answer should begin.
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            for path in (ORDER, "/health/live", "/x", "/x y"):
                line = f" {path} HTTP/1.1\r\n\r\n".encode()
                status, _, body = await request(port, b"GET" + line)
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"HEAD" + line)
                head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
                writer.close()
                assert head.startswith(b"HTTP/1.1 %d " % status)
                assert (b"Content-Length: %d" % len(body) in head, rest) == (True, b"")

    in_loop(main())


def test_health_is_answered_to_any_http(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            assert await get(port, "/health/live") == (200, {"status": "ok"})
            status, body = await get(port, "/health/ready")
            assert (status, body["status"], body["sessions"]) == (200, "delivering", 0)
            # Balancers ask in HTTP/1.0.
            status, headers, payload = await request(port, b"GET /health/live/ HTTP/1.0\r\n\r\n")
            assert (status, headers["cache-control"]) == (200, "no-store")
            assert orjson.loads(payload) == {"status": "ok"}

    in_loop(main())


def test_slashes_and_pieces_make_no_difference(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server, publishing(redis_server.url) as publisher:
            port = server.settings.fanout_port
            await publisher.show(1)
            for path in (ORDER, f"{ORDER}/", f"//{ORDER.lstrip('/')}", f"http://h{ORDER}?x"):
                client = await connect(port, path)
                assert (await client.json())["type"] == "location_update"
                client.abort()
            # A head in two pieces, with a frame right behind it.
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                head = (
                    f"GET {ORDER} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
                    "\r\n\r"
                )
                writer.write(head.encode())
                await until(lambda: server.connections.open)
                writer.write(b"\n" + b"\x89\x82\0\0\0\0hi")
                assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
                assert await reader.readexactly(4) == b"\x8a\x02hi"
                writer.transport.abort()

    in_loop(main())


def test_limits_of_the_process_and_of_an_address(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(
            redis_server.url, fanout_connections_max=4, fanout_connections_per_address_max=2
        ) as server:
            port = server.settings.fanout_port
            far = {"X-Real-IP": "203.0.113.9", "X-Forwarded-For": "203.0.113.8"}
            clients = [await connect(port, ORDER, headers=far) for _ in range(2)]
            for _ in range(2):
                with pytest.raises(Refused) as refused:
                    await connect(port, ORDER, headers=far)
                check(429, refused.value.headers, refused.value.body, TOO_MANY_SOCKETS)
            # A page is not told why its handshake failed: it asks without one.
            assert (await get(port, ORDER))[0] == 426
            clients += [await connect(port, ORDER) for _ in range(2)]
            with pytest.raises(Refused) as refused:
                await connect(port, ORDER)
            check(503, refused.value.headers, refused.value.body, SERVER_FULL)
            status, body = await get(port, ORDER)
            assert (status, body["type"]) == (503, SERVER_FULL.type)
            clients.pop().abort()
            await until(lambda: len(server.sessions.open) == 3)
            clients.append(await connect(port, ORDER))
            for client in clients:
                client.abort()

    in_loop(main())


class Deny:
    """Lets nobody watch o1."""

    def authorize(self, asked: WatchRequest) -> Principal | None:
        if asked.order_id == "o1":
            assert asked.query["token"] == "t"
            raise Rejected(UNKNOWN_CREDENTIAL, "no")
        return None


def test_policy_is_asked_at_the_handshake(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url, policy=Deny()) as server:
            port = server.settings.fanout_port
            with pytest.raises(Refused) as refused:
                await connect(port, f"{ORDER}?token=t")
            check(401, refused.value.headers, refused.value.body, UNKNOWN_CREDENTIAL)
            (await connect(port, ORDER_PATH.format("o2"))).abort()

    in_loop(main())


def test_strangers_that_only_connect_leave_room(redis_server: AnyRedis) -> None:
    async def main() -> None:
        async with fanout(redis_server.url) as server:
            peers = ["203.0.113.5"] * 200 + ["203.0.113.6"]
            peers += [f"2001:db8:1:1::{n}" for n in range(200)] + ["127.0.0.1"] * 200
            waiting = [Waiting(peer) for peer in peers]
            admitted = [server.connections.add(one) for one in waiting]  # type: ignore[arg-type]
            crowded = [True] * 128 + [False] * 72
            assert admitted == [*crowded, True, *crowded, *([True] * 200)]
            for one in waiting:
                server.connections.remove(one)  # type: ignore[arg-type]

    in_loop(main())


class Waiting:
    """A connection whose request has not come."""

    def __init__(self, peer: str) -> None:
        self.peer = peer
