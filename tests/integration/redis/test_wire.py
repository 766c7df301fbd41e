"""Wire: ordered replies, nothing sent twice, bounded in bytes and time, heals by itself."""

import asyncio

import hiredis
import pytest
from structlog.testing import capture_logs

from common.errors import ConfigError, Overloaded
from common.redis.url import parse_redis_url
from common.redis.wire import Wire
from tests.servers import valkey
from tests.servers.proxy import Proxy
from tests.wait import until


async def wire_to(url, **limits):
    wire = Wire(url, **({"reply_timeout_s": 0.5} | limits))
    await wire.start()
    return wire


def test_replies_come_in_order_and_errors_to_whom_they_belong(one_server):
    async def main():
        wire = await wire_to(one_server.url)
        numbers = [wire.send("INCR", "n") for _ in range(1000)]
        assert await asyncio.gather(*numbers) == list(range(1, 1001))
        assert await wire.pipeline_raw([("SET", "a", b"\x00\xff"), ("GET", "a")]) == [
            b"OK",
            b"\x00\xff",
        ]
        assert await wire.pipeline_raw([("GET", "a")]) == [b"\x00\xff"]
        with pytest.raises(hiredis.ReplyError, match="not an integer"):
            await wire.send("INCR", "a")
        replies = await wire.pipeline_raw([("INCR", "a"), ("INCR", "n")])
        assert isinstance(replies[0], hiredis.ReplyError)
        assert replies[1] == 1001
        await wire.close()

    asyncio.run(main())


def test_a_caller_that_goes_away_does_not_shift_the_replies(one_server):
    async def main():
        wire = await wire_to(one_server.url)
        sent = [wire.send("ECHO", str(n)) for n in range(100)]
        group = wire.pipeline_raw([("ECHO", "x"), ("ECHO", "y")])
        for future in sent[::3]:
            future.cancel()
        group.cancel()
        last = await wire.send("ECHO", "last")
        kept = [future for future in sent if not future.cancelled()]
        assert await asyncio.gather(*kept) == [b"%d" % n for n in range(100) if n % 3]
        assert last == b"last"
        await wire.close()

    asyncio.run(main())


def test_commands_in_flight_together_share_a_write(one_server):
    async def main():
        proxy = Proxy("127.0.0.1", one_server.port)
        await proxy.start()
        wire = await wire_to(f"redis://127.0.0.1:{proxy.port}")
        writes = []
        transport = wire._link._transport
        wire._link._transport = _Recording(transport, writes)
        await asyncio.gather(*[wire.send("PING") for _ in range(500)])
        assert len(writes) == 1
        await wire.close()
        await proxy.stop()

    asyncio.run(main())


class _Recording:
    def __init__(self, transport, writes):
        self._transport = transport
        self._writes = writes

    def write(self, data):
        self._writes.append(data)
        self._transport.write(data)

    def abort(self):
        self._transport.abort()


def test_a_swallowed_reply_fails_in_time_and_is_never_sent_again(one_server):
    async def main():
        proxy = Proxy("127.0.0.1", one_server.port)
        await proxy.start()
        wire = await wire_to(f"redis://127.0.0.1:{proxy.port}")
        await wire.send("DEL", "n")
        proxy.passing.clear()
        asked_at = asyncio.get_running_loop().time()
        with pytest.raises(Overloaded, match="unknown"):
            await wire.send("INCR", "n")
        assert asyncio.get_running_loop().time() - asked_at < 1.0
        with pytest.raises(Overloaded):
            wire.send("INCR", "n")
        proxy.passing.set()
        await until(lambda: _is_up(wire))
        # The command may or may not have arrived, but no more than once.
        assert await wire.send("INCR", "n") in {1, 2}
        await wire.close()
        await proxy.stop()

    asyncio.run(main())


async def _is_up(wire):
    return wire.up


def test_what_waits_is_bounded_in_bytes(one_server):
    async def main():
        wire = await wire_to(one_server.url, inflight_bytes_max=1000)
        first = wire.send("SET", "a", "x" * 900)
        with pytest.raises(Overloaded):
            wire.send("SET", "b", "y" * 900)
        assert await first == b"OK"
        assert await wire.send("SET", "b", "y" * 900) == b"OK"
        await wire.close()

    asyncio.run(main())


def test_a_server_that_is_killed_comes_back(one_server):
    async def main():
        wire = await wire_to(one_server.url)
        await wire.send("SET", "a", "1")
        waiting = wire.send("BLPOP", "nothing", 0)
        one_server.kill()
        try:
            with pytest.raises(Overloaded):
                await waiting
            with pytest.raises(Overloaded):
                wire.send("PING")
        finally:
            one_server.start()
        await until(lambda: _is_up(wire))
        assert await wire.send("GET", "a") == b"1"
        await wire.close()

    asyncio.run(main())


def test_it_is_said_once_that_redis_is_back(one_server):
    async def main():
        wire = await wire_to(one_server.url, settled_after_s=0.1)
        one_server.kill()
        await until(lambda: _is_down(wire))
        with capture_logs() as said:
            one_server.start()
            # While it is up, not when it is lost again.
            await until(lambda: _is_said(said, "redis.unreachable.healed"))
            assert wire.up
        await wire.close()

    asyncio.run(main())


async def _is_said(said, event):
    return any(line["event"] == event for line in said)


def test_a_dead_connection_is_found_while_nobody_asks(one_server, monkeypatch):
    monkeypatch.setattr("common.redis.link.PING_AFTER_IDLE_S", 0.1)

    async def main():
        proxy = Proxy("127.0.0.1", one_server.port)
        await proxy.start()
        wire = await wire_to(f"redis://127.0.0.1:{proxy.port}")
        proxy.passing.clear()
        await until(lambda: _is_down(wire))
        await wire.close()
        await proxy.stop()

    asyncio.run(main())


async def _is_down(wire):
    return not wire.up


def test_start_does_not_wait_for_a_server_that_is_away(one_server):
    async def main():
        wire = await wire_to("redis://127.0.0.1:1")
        assert not wire.up
        with pytest.raises(Overloaded):
            wire.send("PING")
        await wire.close()

    asyncio.run(main())


def test_password_user_database_and_socket(tmp_path):
    socket = tmp_path / "s"

    async def main():
        url = f"unix://fleet:pa%24s@{socket}?db=3"
        wire = await wire_to(url)
        assert b"db=3" in await wire.send("CLIENT", "LIST")
        assert await wire.send("ACL", "WHOAMI") == b"fleet"
        await wire.close()
        wrong = await wire_to(f"unix://fleet:no@{socket}")
        assert not wrong.up
        await wrong.close()

    with valkey("--unixsocket", str(socket)) as server:
        server.command("ACL", "SETUSER", "fleet", "on", ">pa$s", "~*", "&*", "+@all")
        asyncio.run(main())


@pytest.mark.parametrize(
    "url", ["http://x", "redis://h:port", "redis://h/name", "unix://", "localhost:6379"]
)
def test_a_wrong_url_is_refused_without_its_password(url):
    with pytest.raises(ConfigError, match="REDIS_URL"):
        parse_redis_url(url)


def test_a_url_never_shows_its_password():
    assert "secret" not in repr(parse_redis_url("rediss://u:secret@h:1/2"))


def test_an_error_reply_is_raised_by_a_pipeline(one_server):
    async def main():
        wire = await wire_to(one_server.url)
        await wire.send("SET", "text", "no number")
        with pytest.raises(hiredis.ReplyError, match="not an integer"):
            await wire.pipeline([("INCR", "text"), ("INCR", "piped")])
        assert await wire.send("GET", "piped") == b"1"
        await wire.close()

    asyncio.run(main())


def test_a_user_who_may_not_name_his_connection_is_served(one_server):
    """CLIENT SETNAME is for the person who looks: a refusal of it kept roles out for ever."""
    one_server.command("ACL", "SETUSER", "nameless", "on", ">pw", "~*", "+@all", "-client")

    async def main():
        wire = await wire_to(one_server.url.replace("redis://", "redis://nameless:pw@"))
        assert await wire.send("PING") == b"PONG"
        await wire.close()

    try:
        asyncio.run(main())
    finally:
        one_server.command("ACL", "DELUSER", "nameless")


def test_a_server_that_drops_its_clients_is_not_called_without_pause():
    """A connection that is made and cut at once was made again at once: 221 in three seconds."""

    async def main():
        made = []

        async def drop(reader, writer):
            made.append(1)
            await reader.read(64)
            writer.write(b"+PONG\r\n+OK\r\n")
            writer.close()

        server = await asyncio.start_server(drop, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        wire = await wire_to(f"redis://127.0.0.1:{port}")
        await until(lambda: _made(made, 4))
        begun = asyncio.get_running_loop().time()
        await until(lambda: _made(made, 6))
        # The fifth and sixth come after pauses of up to 0.8 and 1 s, never below half of the first.
        assert asyncio.get_running_loop().time() - begun >= 2 * 0.025
        assert len(made) <= 7
        await wire.close()
        server.close()

    asyncio.run(main())


async def _made(made, count):
    return len(made) >= count
