"""A home of an earlier version: open to everybody, and with what somebody left in it."""

import asyncio
import os
import signal
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from common.processes.process import set_parent_death_signal
from deploy.servers import packages
from deploy.servers.privileges import descent
from deploy.stack.accounts import SystemUser, named_account
from tests.servers import RedisServer
from tests.stack import LIVE, Stack, new_home
from tests.system.test_up import count_rows, goes_all_the_way

# As it was made; the rights of the role are what a stranger could add.
MADE = """\
CREATE ROLE fleetline LOGIN;
CREATE DATABASE fleetline OWNER fleetline;
ALTER ROLE fleetline SUPERUSER CREATEROLE;
ALTER ROLE postgres PASSWORD 'known';
"""
KEPT = "CREATE TABLE kept AS SELECT 42 AS n;\nALTER TABLE kept OWNER TO fleetline;\n"


class OldDatabase:
    """PostgreSQL as an earlier version ran it."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._account = named_account()
        data.mkdir(mode=0o700)
        give(self._account, data)
        self._run("initdb", "--username=postgres", "--auth-local=reject", "--auth-host=trust", "-N")
        self._run("postgres", "--single", "postgres", text=MADE)
        self._run("postgres", "--single", "fleetline", text=KEPT)

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        binary = packages.postgres_binary(program)
        become = descent(self._account, self._data.parent, binary.parent)

        def prepare() -> None:
            if become is not None:
                become()
            set_parent_death_signal(signal.SIGKILL)

        first, *rest = arguments
        subprocess.run(
            (str(binary), first, "-D", str(self._data), *rest),
            input=text.encode(), capture_output=True, check=True, cwd=self._data,
            preexec_fn=prepare,
        )  # fmt: skip


def give(account: SystemUser | None, path: Path) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)


@pytest.fixture
def old_folders() -> Iterator[Path]:
    """A home with nothing in its folders."""
    with new_home() as home:
        for folder in ("run", "log", "data/gateway/proxy", "data/redis"):
            (home / folder).mkdir(parents=True)
        yield home


@pytest.fixture
def old_home(old_folders: Path) -> Path:
    home = old_folders
    OldDatabase(home / "data" / "postgres")
    server = RedisServer(home / "data" / "redis")
    server.start()
    server.command("SET", "kept", "42")
    server.stop()
    for file in ("run/lock", "log/gateway.log", "run/stack.json", "log/consumer-0.log"):
        (home / file).touch(0o644)
        (home / file).chmod(0o644)
    for path in (home, home / "run", home / "log", home / "data"):
        path.chmod(0o755)
    return home


def test_it_is_closed_and_nothing_is_lost(old_home: Path) -> None:
    with Stack(old_home, *LIVE) as stack:
        assert value(stack.database_url, "SELECT n FROM kept") == 42
        with redis.Redis.from_url(stack.redis_url) as client:
            assert client.get("kept") == b"42"
        goes_all_the_way(stack)
        with pytest.raises(asyncpg.PostgresError):
            value(with_user(stack.database_url, "postgres", "known"), "SELECT 1")
        with pytest.raises(asyncpg.PostgresError):
            value(with_user(stack.database_url, "fleetline", ""), "SELECT 1")
        assert rights(stack.database_url) == []
        assert modes(old_home, ".", "run", "log", "data") <= {0o700, 0o711}
        files = ("run/lock", "log/gateway.log", "run/stack.json", "log/consumer-0.log")
        assert modes(old_home, *files) == {0o600}
        before = (old_home / "postgres.password").read_text()
        assert stack.stop() == 0

    # Once: the next start finds it closed.
    with Stack(old_home, "--roles", "") as stack:
        assert (old_home / "postgres.password").read_text() == before
        assert count_rows(stack) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root could be led astray")
def test_links_that_the_front_doors_account_left_lead_root_nowhere(
    old_folders: Path, tmp_path: Path
) -> None:
    # What broke: root gave its own folder away and overwrote its own file, and printed `ready`.
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o700)
    (victim / "file").write_text("untouched")
    gateway = old_folders / "data" / "gateway"
    give(named_account(), gateway)
    for name in ("uwsgi", "client_body", "tls", "web"):
        (gateway / name).symlink_to(victim)
    (gateway / "nginx.conf").symlink_to(victim / "file")
    with Stack(old_folders, "--roles", ""):
        assert (victim / "file").read_text() == "untouched"
        for path in (victim, victim / "file"):
            assert path.stat().st_uid == 0
        assert stat.S_IMODE(victim.stat().st_mode) == 0o700
        assert [path.name for path in victim.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["data/gateway", "data/redis", "data/postgres", "log", "run"])
def test_a_folder_that_is_a_link_is_one_line(old_folders: Path, tmp_path: Path, name: str) -> None:
    folder = old_folders / name
    folder.mkdir(exist_ok=True)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").stat()
    with pytest.raises(RuntimeError, match="is a link"), Stack(old_folders, "--roles", ""):
        pass
    after = (tmp_path / "elsewhere").stat()
    assert (after.st_uid, after.st_mode) == (before.st_uid, before.st_mode)


def value(url: str, sql: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(ask())


def rights(url: str) -> object:
    """What the role may beyond its own database."""
    return (
        value(
            url,
            "SELECT array_agg(right_) FROM pg_roles, LATERAL (VALUES (rolsuper), (rolcreaterole),"
            " (rolcreatedb), (rolreplication), (rolbypassrls)) AS r (right_)"
            " WHERE rolname = current_user AND right_",
        )
        or []
    )


def with_user(url: str, user: str, password: str) -> str:
    _, _, rest = url.partition("@")
    return f"postgresql://{user}:{password}@{rest}"


def modes(home: Path, *names: str) -> set[int]:
    return {stat.S_IMODE((home / name).stat().st_mode) for name in names}
