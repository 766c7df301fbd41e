"""A server that fails over right after a shard was taken does not give it to a second writer."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from common.errors import Overloaded
from common.redis.replication import Mode, Replication
from common.redis.url import RedisUrl, parse_redis_url
from common.redis.wire import Wire
from consumers.live.write_fence import WriteFence
from consumers.stream.lease import FENCE_STEP, Fenced, Lease
from tests.roles.shard import KEYS
from tests.servers import RedisServer
from tests.wait import until, wait_until


class Pair:
    """A primary and its replica. `now`: the one that whoever asks is led to."""

    def __init__(self, folder: Path) -> None:
        homes = folder / "primary", folder / "replica"
        for home in homes:
            home.mkdir()
        quick = ("--repl-diskless-sync-delay", "0")
        self.primary, self.replica = (RedisServer(home, *quick) for home in homes)
        self.now = self.primary

    async def locate(self) -> RedisUrl:
        """What Sentinels are asked for."""
        return parse_redis_url(self.now.url)

    def start(self) -> None:
        """Start both, and wait until one follows the other."""
        self.primary.start()
        self.replica.start()
        self.replica.command("REPLICAOF", "127.0.0.1", str(self.primary.port))
        wait_until(self._is_followed, what="a replica")

    def _is_followed(self) -> bool:
        return b"state=online" in self.primary.command("INFO", "replication")

    def fail_over(self) -> None:
        """The primary dies; its replica takes over with what it has taken in, and no more.

        One that was frozen would read what lies in its socket: it is started anew.
        """
        for server in (self.primary, self.replica):
            os.kill(server.pid, signal.SIGKILL)
            server.kill()
        self.replica.start()
        self.now = self.replica

    def stop(self) -> None:
        """Both end."""
        for server in (self.primary, self.replica):
            if server.runs:
                server.kill()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    servers = Pair(tmp_path)
    try:
        servers.start()
        yield servers
    finally:
        servers.stop()


class Taker:
    """A worker's lease and fence, on one connection, which is led to whoever is the primary."""

    def __init__(self, pair: Pair, mode: Mode, number: int) -> None:
        self.wire = Wire(pair.locate, reply_timeout_s=5.0)
        self.lease = Lease(self.wire, KEYS, Replication(mode, expected=True))
        # Of another machine: this one would see that no process of its name is there.
        self.lease.me = self.lease.me._replace(boot=f"machine-{number}")
        self.fence = WriteFence(self.wire, KEYS.fence, self.lease)

    async def takes(self) -> bool:
        """Whether it has its lease now."""
        with contextlib.suppress(Overloaded):
            return await self.lease.acquire() is None
        return False

    async def write(self, value: str) -> bool:
        """Write as the live stage does; whether it was carried out. Raises `Fenced`."""
        await self.lease.confirm()
        await self.fence.arm()
        commands = self.fence.around([("HSET", KEYS.live, "d1", value)])
        return self.fence.opened(await self.wire.pipeline_raw(commands)) is not None


@contextlib.asynccontextmanager
async def takers(pair: Pair, mode: Mode, count: int = 2) -> AsyncIterator[list[Taker]]:
    made = [Taker(pair, mode, number) for number in range(count)]
    for taker in made:
        await taker.wire.start()
    try:
        yield made
    finally:
        for taker in made:
            await taker.wire.close()


async def reconnected(taker: Taker, before: int) -> None:
    async def again() -> bool:
        return taker.wire.connections > before and taker.wire.up

    await until(again, what="a connection to the new primary")


@pytest.mark.parametrize("mode", [Mode.AUTO, Mode.STRICT])
def test_a_lease_counts_once_a_replica_has_it(pair: Pair, mode: Mode) -> None:
    async def main() -> None:
        async with takers(pair, mode) as (first, second):
            pair.replica.freeze()
            with pytest.raises(Overloaded, match="replica"):
                await first.lease.acquire()
            # Nothing may be written under it, and nobody else has it either.
            assert not first.lease.fresh
            assert first.lease.age_s is None
            assert await second.lease.acquire() == str(first.lease.me)
            pair.replica.thaw()
            await until(first.takes, what="a replica that has the lease")
            assert await first.write("first")
            # A failover in this very moment finds it held.
            seen = [taker.wire.connections for taker in (first, second)]
            pair.fail_over()
            for taker, before in zip((first, second), seen, strict=True):
                await reconnected(taker, before)
            assert await second.lease.acquire() == str(first.lease.me)
            # It goes on with what it holds; that there is no replica any more matters to who takes.
            assert await first.write("still the first")

    asyncio.run(main())


def test_a_lease_that_no_replica_had_is_not_held_by_two_who_write(pair: Pair) -> None:
    """Without waiting both believe in theirs, and their fences had the same number."""

    async def main() -> None:
        async with takers(pair, Mode.OFF) as (first, second):
            pair.replica.freeze()
            assert await first.lease.acquire() is None
            assert await first.write("first")
            seen = [taker.wire.connections for taker in (first, second)]
            pair.fail_over()
            for taker, before in zip((first, second), seen, strict=True):
                await reconnected(taker, before)
            assert await second.lease.acquire() is None
            # The first may believe for seconds that nobody can have the shard.
            assert first.lease.fresh
            assert int(first.lease.fence) // FENCE_STEP == int(second.lease.fence) // FENCE_STEP
            assert await second.write("second")
            with pytest.raises(Fenced):
                await first.write("first again")
            assert await second.write("second again")
            assert await second.wire.send("HGET", KEYS.live, "d1") == b"second again"

    asyncio.run(main())


def test_a_primary_alone_gives_leases_by_auto_and_none_by_strict(pair: Pair) -> None:
    async def main() -> None:
        async with takers(pair, Mode.AUTO, 1) as (auto,), takers(pair, Mode.STRICT, 1) as (strict,):
            pair.replica.kill()

            async def alone() -> bool:
                return b"connected_slaves:0" in await auto.wire.send("INFO", "replication")

            await until(alone, what="a primary without a replica")
            with pytest.raises(Overloaded):
                await strict.lease.acquire()
            await strict.lease.release()
            assert await auto.lease.acquire() is None
            # What it holds it goes on with: only taking waits.
            await auto.lease.renew()

    asyncio.run(main())
