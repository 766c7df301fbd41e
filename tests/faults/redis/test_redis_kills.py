"""What Redis has confirmed is there after it died: by SIGKILL, or of a full disk."""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import hiredis
import pytest
import redis

from common.errors import Overloaded
from common.redis.wire import Wire
from tests.faults.disk import grow, small_disk
from tests.servers import RedisServer, valkey
from tests.wait import until

KILLS = 10
# Confirmed entries between two kills: enough for several group commits in flight.
BETWEEN_KILLS = 400
STREAM = "driver-locations:{0}"
PAYLOAD = b"x" * 300
TROUBLE = (Overloaded, hiredis.ReplyError)


class Load:
    """Pipelined XADDs; keeps the ids that were confirmed."""

    def __init__(self, url: str) -> None:
        self._wire = Wire(url, reply_timeout_s=1.0)
        self.ids: list[bytes] = []

    async def run(self, stopping: asyncio.Event) -> None:
        await self._wire.start()
        while not stopping.is_set():
            try:
                sent = [self._wire.send("XADD", STREAM, "*", "e", PAYLOAD) for _ in range(50)]
            except Overloaded:
                await until(self._up_or(stopping))
                continue
            replies = await asyncio.gather(*sent, return_exceptions=True)
            self.ids += [r for r in replies if isinstance(r, bytes)]
            assert all(isinstance(r, (bytes, *TROUBLE)) for r in replies)
            if not any(isinstance(r, bytes) for r in replies):
                await until(self._up_or(stopping))
        await self._wire.close()

    def _up_or(self, stopping: asyncio.Event):
        async def ready() -> bool:
            return stopping.is_set() or self._wire.up

        return ready

    async def confirmed(self, count: int) -> None:
        """Wait until that many more are confirmed."""
        goal = len(self.ids) + count

        async def done() -> bool:
            return len(self.ids) >= goal

        await until(done)


def assert_all_there(server: RedisServer, ids: list[bytes]) -> None:
    with redis.Redis(port=server.port) as client:
        there = {entry_id for entry_id, _ in client.xrange(STREAM)}
    assert set(ids) - there == set()
    assert len(set(ids)) == len(ids)


def test_ten_kills_under_load_lose_nothing_that_was_confirmed():
    async def main(server: RedisServer) -> list[bytes]:
        load, stopping = Load(server.url), asyncio.Event()
        running = asyncio.create_task(load.run(stopping))
        for _ in range(KILLS):
            await load.confirmed(BETWEEN_KILLS)
            server.kill()
            server.start()
        await load.confirmed(BETWEEN_KILLS)
        stopping.set()
        await running
        return load.ids

    with valkey() as server:
        ids = asyncio.run(main(server))
        assert len(ids) >= (KILLS + 1) * BETWEEN_KILLS
        assert_all_there(server, ids)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    with small_disk(tmp_path, 8):
        yield tmp_path


def test_a_full_disk_refuses_and_loses_nothing_that_was_confirmed(disk):
    """With `appendfsync always` the server ends rather than confirm what it cannot write."""

    async def fill(server: RedisServer) -> list[bytes]:
        load, stopping = Load(server.url), asyncio.Event()
        running = asyncio.create_task(load.run(stopping))
        await load.confirmed(1000)

        async def ended() -> bool:
            return os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

        await until(ended, what="the server to give up")
        stopping.set()
        await running
        return load.ids

    server = RedisServer(disk)
    server.start()
    try:
        ids = asyncio.run(fill(server))
        with contextlib.suppress(ProcessLookupError):
            server.kill()
        grow(disk, 64)
        server.start()
        assert_all_there(server, ids)
        assert server.command("XADD", STREAM, "*", "e", "x").startswith(b"$")
    finally:
        server.kill()
