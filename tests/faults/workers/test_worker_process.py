"""A worker as a process, without a supervisor: how it stops, and how a frozen one comes back."""

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from common.processes.process import set_parent_death_signal
from tests.freezing import freeze, thaw
from tests.roles.shard import payload, shard
from tests.stack import environment
from tests.wait import pace, until

# With a lease of two seconds instead of ten.
PROGRAM = """
import sys
from consumers import worker
from consumers.stream import lease
lease.TTL_S, lease.FRESH_S = 2, 1.0
sys.exit(worker.main())
"""
ROLLS = 5
DRAIN_S = 8.0


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@contextlib.contextmanager
def worker(servers, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of shard 0 for the block; killed if it is still there."""
    extra = {
        "REDIS_URL": servers[0],
        "DATABASE_URL": servers[1],
        "LOG_LEVEL": "error",
        # What is dated NOW stays live as long as tests run.
        "LOCATION_TTL": "86400",
        **settings,
    }
    process = subprocess.Popen(
        (sys.executable, "-c", PROGRAM, "--shard", "0"),
        env=environment(extra),
        preexec_fn=lambda: set_parent_death_signal(signal.SIGKILL),
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def load(it, numbers, stopping):
    """One fix after the other; the last number sent."""
    number = 0
    while not stopping.is_set():
        number = next(numbers)
        await it.add(payload(number))
        await pace(0.0005)
    return number


def test_rolling_restarts_leave_nothing_pending(servers):
    """SIGTERM under load: the open batch is stored and acknowledged before it goes, in time."""

    async def main():
        numbers = iter(range(1_000_000))
        async with shard(*servers) as it:
            for _ in range(ROLLS):
                stopping = asyncio.Event()
                loading = asyncio.create_task(load(it, numbers, stopping))
                before = await it.count()
                with worker(servers) as process:

                    async def works(before: int = before) -> bool:
                        return bool(await it.count() > before + 50)

                    await until(works)
                    process.terminate()
                    began_s = time.monotonic()
                    assert await asyncio.to_thread(process.wait, DRAIN_S) == 0
                    assert time.monotonic() - began_s < DRAIN_S / 2
                    assert await it.pending() == 0
                stopping.set()
                last = await loading
            with worker(servers):
                await it.stored(last + 1)
            assert await it.dead() == []

    asyncio.run(main())


def test_a_frozen_worker_whose_lease_ran_out_leaves_and_moves_nobody_back(servers):
    """Two hosts run the same shard: one is stopped, the other takes over, the first wakes up."""

    async def main():
        async with shard(*servers) as it:
            with worker(servers) as first:
                await it.add(payload(1))
                await it.stored(1)
                freeze(first.pid)
                # Delivered to it, perhaps: it was asking for new ones.
                await it.add(payload(2))
                with worker(servers, PENDING_MESSAGE_TIMEOUT="100"):
                    await it.stored(2)
                    await it.add(payload(9))
                    await it.stored(3)
                    thaw(first.pid)
                    assert await asyncio.to_thread(first.wait, 10) == 1
                    await it.add(payload(8))
                    await it.stored(4)
                    assert await it.live("d1") == payload(9)
            assert await it.dead() == []

    asyncio.run(main())
