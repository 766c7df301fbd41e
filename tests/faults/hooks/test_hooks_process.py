"""The role as a process: killed anywhere, stopped in the middle, cut off, without its package."""

import asyncio
import os
import random
import signal
import sys

import asyncpg

from common.webhooks.secret import SecretKeys
from consumers.hooks.pace import CONCURRENCY
from tests.integration.hooks.hook_sending import add_webhook, happen, happenings, settled, states
from tests.servers import free_port
from tests.servers.receiver import OK, Receiver
from tests.stack import environment, fleetline
from tests.test_tidy import ROOT
from tests.wait import pace, until

KEY = "k" * 32
DRIVERS, PARTS, EACH = 12, 4, 24


def options(url):
    return {
        "DATABASE_URL": url,
        "WEBHOOK_PRIVATE": "on",
        "WEBHOOK_SECRET": KEY,
        "LOG_LEVEL": "error",
        "METRICS_PORT": str(free_port()),
    }


async def spawn(url):
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deploy.cli", "hooks", env=environment(options(url))
    )


async def end(process, number=signal.SIGTERM):
    if process.returncode is None:
        process.send_signal(number)
    return await asyncio.wait_for(process.wait(), 20)


def test_killed_anywhere_it_loses_nothing_and_keeps_each_drivers_order(database_url):
    """kill -9 again and again while events come, and once its connections are cut."""
    rng = random.Random(8)

    async def slow(_request, _writer):
        await pace(rng.uniform(0, 0.02))
        return OK

    async def scenario():
        connection = await asyncpg.connect(database_url)
        process = await spawn(database_url)
        kills = 0
        try:
            async with Receiver(slow) as receiver:
                hook, _ = await add_webhook(
                    connection, "shop", receiver.url, seed=SecretKeys([KEY]).new_seed()
                )
                expected = {f"d{n}": [] for n in range(DRIVERS)}
                for part in range(PARTS):
                    for driver, ids in expected.items():
                        count = EACH // PARTS
                        events = happenings(driver, count, part * count)
                        ids.extend(await happen(connection, events))
                    before = len(receiver.posted)
                    wanted = rng.randrange(10, DRIVERS * EACH // PARTS)
                    await until(lambda n=before + wanted: came(receiver, n), timeout_s=20)
                    if part == 2:
                        await cut(connection)
                        continue
                    await end(process, signal.SIGKILL)
                    kills += 1
                    process = await spawn(database_url)
                await settled(connection, hook, timeout_s=40)
                assert await end(process) == 0
                return receiver.posted, expected, kills
        finally:
            await end(process, signal.SIGKILL)
            await connection.close()

    async def came(receiver, count):
        return len(receiver.posted) >= count

    async def cut(connection):
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'fleetline-hooks' AND datname = current_database()"
        )

    posted, expected, kills = asyncio.run(scenario())
    for driver, ids in expected.items():
        found = [p.event["event_id"] for p in posted if p.event["driver_id"] == driver]
        assert list(dict.fromkeys(found)) == ids
    # What was on its way, or not yet written, when it was killed comes twice.
    repeats = len(posted) - DRIVERS * EACH
    assert repeats <= (kills + 1) * 4 * CONCURRENCY


def test_a_stop_lets_what_is_on_its_way_come_to_its_end(database_url):
    async def scenario():
        connection = await asyncpg.connect(database_url)
        released = asyncio.Event()

        async def hold(_request, _writer):
            await released.wait()
            return OK

        process = await spawn(database_url)
        try:
            async with Receiver(hold) as receiver:
                hook, _ = await add_webhook(
                    connection, "shop", receiver.url, seed=SecretKeys([KEY]).new_seed()
                )
                await happen(connection, happenings("a", 2))
                await until(lambda: is_there(receiver.posted), timeout_s=20)
                process.send_signal(signal.SIGTERM)
                # A connection that is made now finds it gone or going: it takes nothing more.
                released.set()
                assert await asyncio.wait_for(process.wait(), 20) == 0
                assert len(receiver.posted) <= 2
                assert (await states(connection, hook))["delivered"] == len(receiver.posted)
        finally:
            await end(process, signal.SIGKILL)
            await connection.close()

    async def is_there(value):
        return value

    asyncio.run(scenario())


def test_without_its_package_it_says_which_one_in_one_line(database_url, tmp_path):
    """Installed without the extra: as a module that cannot be found."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nsys.modules['aiohttp'] = None\n"
        "import importlib.util as u\nfound = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'aiohttp' else found(name, *a)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    extra = {**options(database_url), "PYTHONPATH": path}
    done = fleetline("hooks", extra=extra)
    assert done.returncode == 2
    assert done.stderr == (
        "fleetline: webhooks need the package aiohttp: pip install 'fleetline[webhooks]'\n"
    )


def test_without_a_database_it_waits_and_stops_at_once():
    async def scenario():
        nowhere = {**options("postgresql://nobody@127.0.0.1:9/none"), "LOG_LEVEL": "warning"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "deploy.cli", "hooks"),
            env=environment(nowhere),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(60):
            while b"hooks.waiting" not in await process.stderr.readline():
                assert process.returncode is None
        assert await end(process) == 0

    asyncio.run(scenario())
