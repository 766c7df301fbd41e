"""A copy of each store alone: into a server of one's own, and by what is checked on the way."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from common.errors import ConfigError, FleetlineError
from common.event import COLUMNS
from consumers.history.table import HistoryTable
from consumers.insight.fold.rules import Rules
from deploy.backup.contents import (
    DATABASE_FILE,
    REDIS_FILE,
    Contents,
    partial_folder,
    publish,
    read_contents,
    sha256_of,
    write_contents,
)
from deploy.backup.database_copy import dump_database, restore_database
from deploy.backup.redis_copy import copy_redis, lay_out
from deploy.schema.migrate import migrate
from tests.integration.insight.insight_history import follow_to, row, store, stored
from tests.servers import RedisServer
from tests.servers.postgres import Databases
from tests.servers.timescale import compress

DAY = datetime(2026, 1, 5, tzinfo=UTC)
ROWS = f"SELECT {', '.join(COLUMNS)} FROM locations ORDER BY driver_id, recorded_at"


@pytest.fixture
def empty(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    name = databases.create_empty()
    yield databases.url(name)
    databases.drop_database(name)


def drive(day: int) -> list[Any]:
    start = DAY + timedelta(days=day)
    return [row("a", start + timedelta(seconds=9 * n), 53 + n / 900, -2.9) for n in range(400)]


def test_a_database_comes_back_as_it_was_and_goes_on(
    database_url: str, empty: str, tmp_path: Path
) -> None:
    file = tmp_path / DATABASE_FILE

    async def look(url: str) -> object:
        connection = await asyncpg.connect(url)
        try:
            days = await connection.fetch("SELECT fleetline_history_days()")
            return await connection.fetch(ROWS), days, await stored(connection, "a")
        finally:
            await connection.close()

    async def run() -> tuple[object, object, list[int]]:
        connection = await asyncpg.connect(database_url)
        await store(connection, drive(0), marked=False)
        await compress(connection)
        await store(connection, drive(1), marked=False)
        await connection.close()
        await follow_to(database_url, Rules(), DAY + timedelta(days=5))
        dumped = await dump_database(database_url, file, lambda _: None)
        assert await restore_database(empty, file, lambda _: None) == dumped == 800
        before, after = await look(database_url), await look(empty)
        assert await migrate(empty) == []
        table = HistoryTable(empty, timeout_s=10)
        # Known rows of both days, late ones, and a new day.
        late = [row("b", r[1], 1.0, 2.0) for r in drive(0)[:50]]
        counts = [await table.store(drive(0)), await table.store(late), await table.store(drive(2))]
        await table.close()
        return before, after, counts

    before, after, counts = asyncio.run(run())
    assert after == before
    assert counts == [0, 50, 400]


def test_a_database_that_is_not_empty_is_not_filled(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / DATABASE_FILE
    asyncio.run(dump_database(database_url, file, lambda _: None))
    with pytest.raises(FleetlineError, match="already exists"):
        asyncio.run(restore_database(database_url, file, lambda _: None))


def test_redis_comes_back_with_its_groups(one_server: RedisServer, tmp_path: Path) -> None:
    one_server.command("XGROUP", "CREATE", "s", "g", "0", "MKSTREAM")
    for n in range(3):
        one_server.command("XADD", "s", f"{n + 1}-0", "e", "x" * 70_000)
    one_server.command("XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "s", ">")
    heard: list[tuple[int, int]] = []
    size = copy_redis(one_server.url, tmp_path / REDIS_FILE, lambda *n: heard.append(n))
    assert (tmp_path / REDIS_FILE).stat().st_size == size
    assert heard[-1] == (size, size)
    folder = tmp_path / "server"
    folder.mkdir()
    tmp_path.chmod(0o755)
    other = RedisServer(folder)
    lay_out(tmp_path / REDIS_FILE, other.folder)
    other.start()
    try:
        assert other.command("XLEN", "s") == one_server.command("XLEN", "s")
        assert other.command("XPENDING", "s", "g") == one_server.command("XPENDING", "s", "g")
        # What comes in from then on is kept too.
        other.command("SET", "later", "1")
        other.stop()
        other.start()
        assert other.command("GET", "later") == one_server.command("ECHO", "1")
    finally:
        other.stop()


def test_a_redis_that_refuses_or_is_away_is_one_line(
    one_server: RedisServer, tmp_path: Path
) -> None:
    one_server.command("ACL", "SETUSER", "weak", "on", ">pw", "+@all", "-sync")
    weak = one_server.url.replace("redis://", "redis://weak:pw@")
    for url in (weak, "redis://127.0.0.1:9"):
        with pytest.raises(FleetlineError, match="Redis gave no copy") as refused:
            copy_redis(url, tmp_path / REDIS_FILE, lambda *_: None)
        assert "pw" not in str(refused.value)
    one_server.command("ACL", "DELUSER", "weak")


def whole(folder: Path) -> Path:
    partial = partial_folder(folder)
    (partial / REDIS_FILE).write_bytes(b"one")
    files = {REDIS_FILE: sha256_of(partial / REDIS_FILE)}
    write_contents(partial, Contents("0", "then", "now", 4, 7, files))
    publish(partial, folder)
    return folder


def test_a_backup_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = whole(tmp_path / "one")
    assert read_contents(folder).fixes == 7
    with pytest.raises(ConfigError, match="not empty"):
        partial_folder(folder)
    (tmp_path / "two.part").mkdir()
    with pytest.raises(ConfigError, match="cut off"):
        partial_folder(tmp_path / "two")


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        (REDIS_FILE, b"two", "not as it was written"),
        (REDIS_FILE, None, "No such file"),
        ("backup.json", None, "is no backup"),
        ("backup.json", b"{", "backup.json"),
        ("backup.json", b'{"files": {}, "format": 2}', "backup.json"),
    ],
)
def test_what_is_no_backup_any_more_is_told(
    tmp_path: Path, name: str, content: bytes | None, line: str
) -> None:
    folder = whole(tmp_path / "one")
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(content)
    with pytest.raises(ConfigError, match=line):
        read_contents(folder)


def test_a_list_names_no_other_files(tmp_path: Path) -> None:
    folder = whole(tmp_path / "one")
    contents = read_contents(folder)
    contents.files["../one/redis.rdb"] = contents.files[REDIS_FILE]
    write_contents(folder, contents)
    with pytest.raises(ConfigError, match="is no part"):
        read_contents(folder)
