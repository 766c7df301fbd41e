"""A full disk under the database: fixes are accepted, live moves, and all is stored afterwards."""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import asyncpg
import pytest
import redis

from common.keys import shard_keys
from deploy.servers.postgres import postgres_spec
from deploy.servers.postgres_making import POSTGRES_PASSWORD
from deploy.stack.home import Home
from tests.faults.conftest import SETTINGS
from tests.faults.disk import ballast, small_disk
from tests.faults.test_stack import FIX, new_driver, now, post
from tests.stack import LIVE, Stack, new_home
from tests.system.test_up import count_rows
from tests.wait import wait_until

# Room for an empty database (60 MB with its log) and for what the test sends.
DISK_MB = 160
# More than a segment of PostgreSQL's log: it cannot be written without a new file.
MUCH_WAL = "SELECT pg_logical_emit_message(true, 'fill', repeat('x', 40000000))"


@pytest.fixture
def cramped(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose database stands on a small disk. The disk goes after the stack."""
    made = Home(tmp_path / "made")
    postgres_spec(made, 1, lambda _line: None)
    with new_home() as home:
        data = Home(home).folder("data/postgres")
        with small_disk(data, DISK_MB):
            subprocess.run(("cp", "-a", f"{made.path}/data/postgres/.", str(data)), check=True)
            shutil.copy(made.path / POSTGRES_PASSWORD, home)
            settings = {name: text for name, text in SETTINGS.items() if name != "BACKLOG_MAX"}
            with Stack(home, *LIVE, extra=settings) as stack:
                yield stack


class Sender:
    """Sends bodies of many fixes, all of which must be accepted, and counts them."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._base = datetime.now(UTC)
        self.sent = 0

    def send(self) -> None:
        stamps = (self._base + timedelta(microseconds=self.sent + n) for n in range(100))
        body = [
            {**FIX, "driver_id": f"full-{(self.sent + n) % 5000}", "recorded_at": when.isoformat()}
            for n, when in enumerate(stamps)
        ]
        status, answer = self._stack.request("POST", "/api/v1/drivers/locations", body)
        assert (status, answer["accepted"]) == (202, 100)
        self.sent += 100

    def send_until(self, word: str, role: str) -> None:
        """Send until the role's log holds `word`."""
        log = self._stack.home / "log"

        def said() -> bool:
            self.send()
            return any(word in path.read_text() for path in log.glob(f"{role}*.log"))

        wait_until(said, timeout_s=15, what=f"{word} in the log of {role}")

    def stored(self) -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            return count_rows(self._stack, "driver_id LIKE 'full-%'") >= self.sent
        return False


def live_moves(stack: Stack) -> float:
    """Seconds until a new position can be read; the fix must be accepted."""
    driver, began_s = new_driver(), time.monotonic()
    assert post(stack, driver, recorded_at=now()) == 202
    path = f"/api/v1/drivers/{driver}/location"
    wait_until(lambda: stack.request("GET", path)[0] == 200, timeout_s=3, what="live")
    return time.monotonic() - began_s


async def execute(stack: Stack, sql: str) -> None:
    connection = await asyncpg.connect(stack.database_url, timeout=5)
    try:
        await connection.execute(sql, timeout=10)
    finally:
        connection.terminate()


def dead_letters(stack: Stack) -> int:
    with redis.Redis.from_url(stack.redis_url) as client:
        return sum(client.xlen(shard_keys("driver-locations", shard, 4).dead) for shard in range(4))


def test_a_full_disk_under_the_database_stops_nothing_and_loses_nothing(cramped: Stack) -> None:
    """First its tables cannot grow, then its log: it refuses, and then it dies and cannot start."""
    sender, server = Sender(cramped), cramped.pid("postgres")
    sender.send()
    wait_until(sender.stored, what="a whole stack")
    slowest_s = 0.0
    with ballast(cramped.home / "data/postgres"):
        sender.send_until("DiskFullError", "consumer")
        for _ in range(5):
            slowest_s = max(slowest_s, live_moves(cramped))
        assert cramped.pid("postgres") == server
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            asyncio.run(execute(cramped, MUCH_WAL))
        sender.send_until("PANIC", "postgres")
        sender.send_until("startup process failure", "postgres")
        for _ in range(5):
            sender.send()
            slowest_s = max(slowest_s, live_moves(cramped))
        wait_until(partial(_is_degraded, cramped), what="/health to say it")
    assert slowest_s < 1
    wait_until(sender.stored, timeout_s=20, what="all stored")
    wait_until(partial(_quiet, cramped), what="nothing pending")
    assert count_rows(cramped, "driver_id LIKE 'full-%'") == sender.sent
    assert dead_letters(cramped) == 0


def _is_degraded(stack: Stack) -> bool:
    """And it says for how long fixes are still taken."""
    status, health = stack.request("GET", "/health")
    lasts_s = health["room"]["lasts_s"] or 0
    seen = (status, health["status"], health["database"])
    return lasts_s > 0 and seen == (200, "degraded", "down")


def _quiet(stack: Stack) -> bool:
    health = stack.request("GET", "/health")[1]
    return bool(health["backlog"] == health["pending_messages"] == 0)
