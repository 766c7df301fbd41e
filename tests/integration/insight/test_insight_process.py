"""The role as a process: killed anywhere, several at once, without a database for a while."""

import asyncio
import contextlib
import random
import signal
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from consumers.insight.columns import us_of
from consumers.insight.fold.rules import Rules
from tests.clients.commands import start as start_command
from tests.integration.insight.insight_history import adopt_at_once, row, rows_of, store, stored
from tests.stack import environment, fleetline
from tests.unit.insight.insight_tables import at_once
from tests.unit.insight.test_fold import CELL_OF
from tests.wait import wait_until

RULES = Rules(speed_limit_kmh=50.0, cells=CELL_OF is not None)
FOLDED = "SELECT coalesce(sum(fixes), 0) FROM driver_quarters"
START = datetime.now(UTC).replace(microsecond=0) - timedelta(days=3)


def settings(url):
    return {"DATABASE_URL": url, "SPEED_LIMIT_KMH": "50", "LOG_LEVEL": "warning"}


def spawn(url, **more):
    return start_command(["insight"], environment(settings(url)), **more)


def end(process, number=signal.SIGTERM):
    process.send_signal(number)
    return process.wait(20)


def drives(driver, rng, hours=60):
    """Days of driving and standing, a fix every twenty seconds."""
    fixes, north, begin = [], 0.0, us_of(START)
    for n in range(hours * 180):
        north += rng.uniform(0, 0.002) if n // 40 % 2 else rng.gauss(0, 2e-5)
        at = begin + n * 20_000_000
        fixes.append((at, 53.0 + north, -2.9 + driver * 0.1, rng.uniform(0, 80), 5.0))
    return fixes


def ask(url, work):
    async def run():
        connection = await asyncpg.connect(url)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def followed_url(database_url):
    """A database in use: the very first start of all waits for rows that leave no mark."""
    ask(database_url, lambda c: adopt_at_once(c, RULES))
    return database_url


@pytest.fixture
def processes():
    running = []
    yield running
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_killed_anywhere_it_goes_on_where_it_was(followed_url, processes):
    """kill -9 again and again, while fixes of any age arrive; then all is as if nothing was."""
    rng = random.Random(3)
    drivers = {f"driver-{n}": drives(n, rng) for n in range(6)}
    late = {name: rng.sample(fixes, len(fixes) // 20) for name, fixes in drivers.items()}
    young = {
        name: [fix for fix in fixes if fix not in late[name]] for name, fixes in drivers.items()
    }

    async def arrive(connection, some):
        for name, fixes in some.items():
            await store(connection, rows_of(name, fixes))

    ask(followed_url, lambda c: arrive(c, young))
    for _ in range(4):
        process = spawn(followed_url)
        processes.append(process)
        before = ask(followed_url, lambda c: c.fetchval(FOLDED))
        # Once all is folded there is no more progress to be seen.
        with contextlib.suppress(TimeoutError):
            wait_until(
                lambda seen=before: ask(followed_url, lambda c: c.fetchval(FOLDED)) != seen,
                timeout_s=rng.choice([2, 4]),
            )
        end(process, signal.SIGKILL)
    ask(followed_url, lambda c: arrive(c, late))
    # Two at once share the work.
    processes += [spawn(followed_url), spawn(followed_url)]
    expected = {name: at_once(fixes, RULES, CELL_OF) for name, fixes in drivers.items()}

    def right():
        return all(
            ask(followed_url, lambda c, name=name: stored(c, name)) == rows
            for name, rows in expected.items()
        )

    wait_until(right, timeout_s=60, what="the tables of one fold")
    assert [end(process) for process in processes[-2:]] == [0, 0]


def test_rebuild_makes_lost_results_again(followed_url):
    fixes = drives(1, random.Random(5), hours=10)

    async def fill(connection):
        await store(connection, rows_of("a", fixes), marked=False)

    async def lose(connection):
        await connection.execute("DELETE FROM trips")
        await connection.execute("UPDATE driver_quarters SET distance_m = 0")

    ask(followed_url, fill)
    done = fleetline("insight", "rebuild", extra=settings(followed_url))
    assert (done.returncode, f"{len(fixes)} fixes" in done.stdout) == (0, True), done.stderr
    expected = at_once(fixes, RULES, CELL_OF)
    assert ask(followed_url, lambda c: stored(c, "a")) == expected
    ask(followed_url, lose)
    for more in ((), ("--driver", "a"), ("--since", START.isoformat())):
        done = fleetline("insight", "rebuild", *more, extra=settings(followed_url))
        assert (done.returncode, "1 drivers again" in done.stdout) == (0, True), done.stderr
        assert ask(followed_url, lambda c: stored(c, "a")) == expected


def test_rebuild_by_other_rules_than_the_followers_is_refused(followed_url):
    ask(followed_url, lambda c: store(c, [row("a", START, 1.0, 2.0)], marked=False))
    assert fleetline("insight", "rebuild", extra=settings(followed_url)).returncode == 0
    other = {**settings(followed_url), "STOP_MIN_S": "300"}
    refused = fleetline("insight", "rebuild", extra=other)
    assert (refused.returncode, "make them the same" in refused.stderr) == (2, True)


def test_without_a_database_it_waits(processes, tmp_path):
    url = "postgresql://nobody@127.0.0.1:9/none"
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = spawn(url, stderr=output.fileno(), stdout=output.fileno())
    processes.append(process)
    wait_until(lambda: b"insight.waiting" in log.read_bytes(), timeout_s=20)
    assert process.poll() is None
    assert end(process) == 0
