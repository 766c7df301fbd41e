"""Both stores are copied while fixes come in; what was accepted before is in the copy, once."""

import asyncio
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from tests.stack import LIVE, Stack, fleetline, new_home
from tests.system.conftest import QUICK
from tests.wait import wait_until

DRIVERS = 5
FIXES = 8
START = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)
ROWS = "SELECT driver_id, recorded_at FROM locations WHERE driver_id LIKE 'backup-%'"


class Sender:
    """Fixes of some drivers, each of its own second; `accepted` are those with a 202."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.accepted: list[tuple[str, datetime]] = []
        self.tried: set[tuple[str, datetime]] = set()

    def send(self, count: int) -> list[tuple[str, datetime]]:
        """Send so many; all accepted so far."""
        for _ in range(count):
            n = len(self.tried)
            fix = (f"backup-{n % DRIVERS}", START + timedelta(seconds=n))
            self.tried.add(fix)
            body = {"latitude": 53.4, "longitude": -2.9, "recorded_at": fix[1].isoformat()}
            status, _ = self._stack.request("POST", f"/api/v1/drivers/{fix[0]}/location", body)
            if status == 202:
                self.accepted.append(fix)
        return list(self.accepted)

    def send_until(self, stop: threading.Event) -> None:
        """Send until told to stop."""
        while not stop.is_set():
            self.send(1)


def rows_of(stack: Stack) -> list[tuple[str, datetime]]:
    async def read() -> list[tuple[str, datetime]]:
        connection = await asyncpg.connect(stack.database_url, timeout=5)
        try:
            return [tuple(row) for row in await connection.fetch(ROWS)]
        finally:
            await connection.close()

    return asyncio.run(read())


def secrets_of(home: Path) -> dict[str, bytes]:
    """What stored data is signed or sealed with."""
    return {file.name: file.read_bytes() for file in home.glob("*.secret")}


def nothing_waits(stack: Stack) -> bool:
    return all(shard["backlog"] == 0 for shard in stack.request("GET", "/health")[1]["shards"])


async def backup_while_nothing_is_stored(
    stack: Stack, sender: Sender, folder: Path
) -> list[tuple[str, datetime]]:
    """What is accepted meanwhile is in the stream alone. Returns what was accepted before."""
    lock, stop = await asyncpg.connect(stack.database_url, timeout=5), threading.Event()
    try:
        async with lock.transaction():
            await lock.execute("LOCK TABLE locations IN SHARE ROW EXCLUSIVE MODE")
            before = await asyncio.to_thread(sender.send, FIXES)
            load = asyncio.create_task(asyncio.to_thread(sender.send_until, stop))
            done = await asyncio.to_thread(
                fleetline, "backup", str(folder), "--home", str(stack.home)
            )
            stop.set()
            await load
            assert done.returncode == 0, done.stdout + done.stderr
            assert len(await lock.fetch(ROWS)) == FIXES
            return before
    finally:
        stop.set()
        await lock.close()


def test_what_was_accepted_before_a_backup_is_in_it_once(stack: Stack, tmp_path: Path) -> None:
    folder, sender = tmp_path / "copy", Sender(stack)
    sender.send(FIXES)
    wait_until(lambda: len(rows_of(stack)) == FIXES, what="the first fixes to be stored")
    before = asyncio.run(backup_while_nothing_is_stored(stack, sender, folder))
    assert len(before) == 2 * FIXES
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with new_home() as home:
        done = fleetline("restore", str(folder), "--home", str(home))
        assert done.returncode == 0, done.stdout + done.stderr
        assert secrets_of(home) == secrets_of(stack.home) != {}
        again = fleetline("restore", str(folder), "--home", str(home))
        assert (again.returncode, "not empty" in again.stderr) == (2, True)
        with Stack(home, *LIVE, extra=QUICK) as restored:
            wait_until(lambda: set(rows_of(restored)) >= set(before), what="all to be stored")
            wait_until(lambda: nothing_waits(restored), what="the restored stream to be settled")
            rows = rows_of(restored)
            assert len(rows) == len(set(rows))
            assert set(rows) <= sender.tried


@pytest.mark.parametrize("file", ["redis.rdb", "backup.json"])
def test_a_backup_that_is_not_whole_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_bytes(b"{}")
    with new_home() as home:
        done = fleetline("restore", str(tmp_path), "--home", str(home))
        assert (done.returncode, done.stderr.count("\n"), home.exists()) == (2, 1, False)
