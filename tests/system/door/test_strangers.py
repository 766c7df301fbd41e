"""Other users of the machine get nothing of a running stack, whoever runs it.

What broke: `nobody` ran programs as the stack's owner through PostgreSQL, minted an operator's
key in Redis, held the lock of the home, and read every log.
"""

import json
import os
import pwd
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.servers.gateway import HOME_NOTE, OPEN_FOLDER
from deploy.servers.privileges import Descent
from deploy.stack.accounts import NUMBERS, SystemUser
from deploy.stack.home import Home
from deploy.stack.wiring import OFFSETS
from tests.access import SECRET
from tests.clients.stranger import WHAT
from tests.servers import RedisServer
from tests.servers.postgres import PostgresServer
from tests.servers.process_memory import in_memory
from tests.stack import LIVE, Stack, open_folder
from tests.system.test_up import goes_all_the_way

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

# What the front door shows to everybody is nobody's secret, nor is who may log in.
SHOWN = ("data/gateway", "data/postgres.clients")
# Users that come with a distribution and run nothing.
NAMES = ("games", "news", "uucp", "mail")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where everybody may come to."""
    with open_folder() as path:
        yield path


def try_all(redis_port: int, postgres_port: int, paths: list[Path], pids: list[int]) -> Any:
    told = {
        "redis_port": redis_port,
        "postgres_port": postgres_port,
        "paths": list(map(str, paths)),
        "pids": pids,
    }
    tried = subprocess.run(
        (sys.executable, "-m", "tests.clients.stranger"),
        input=json.dumps(told), capture_output=True, text=True, check=False,
        env=os.environ | {"HOME": "/"},
    )  # fmt: skip
    assert tried.returncode == 0, tried.stderr
    return json.loads(tried.stdout)


def test_a_stranger_gets_in_where_nothing_is_closed(
    one_server: RedisServer, postgres_session: PostgresServer, folder: Path
) -> None:
    """Else what follows would prove nothing."""
    (folder / "lock").touch(0o644)
    folder.chmod(0o777)
    paths = [folder, folder / "lock"]
    with subprocess.Popen(("cat",), stdin=subprocess.PIPE, user=65_534, group=65_534) as own:
        tried = try_all(one_server.port, postgres_session.port, paths, [own.pid])
        own.kill()
    assert "postgres@postgres" in tried["postgres"]
    assert {"PING", "CONFIG GET dir"} <= set(tried["redis"])
    assert set(tried["processes"]) == {f"{own.pid} {what}" for what in WHAT}
    assert tried["locked"] == tried["read"] == [str(folder / "lock")]
    assert tried["listed"] == tried["written"] == [str(folder)]


def require_closed(stack: Stack) -> None:
    paths = [stack.home, *stack.home.rglob("*")]
    assert len(paths) > 100
    tried = try_all(
        stack.port + OFFSETS["redis_port"],
        stack.port + OFFSETS["postgres_port"],
        paths,
        [process.pid for process in stack.family()],
    )
    assert {name: tried[name] for name in ("postgres", "redis", "processes", "locked")} == {
        "postgres": [], "redis": [], "processes": [], "locked": [],
    }  # fmt: skip
    assert tried["written"] == []
    shown = tuple(str(stack.home / name) for name in SHOWN)
    assert [path for path in (*tried["read"], *tried["listed"]) if not path.startswith(shown)] == []
    # Arguments are for everybody to see.
    home = Home(stack.home)
    secrets = [(home.path / name).read_text().strip() for name in secret_files(home)]
    assert len(secrets) >= 2
    lines = "\n".join(" ".join(process.cmdline()) for process in stack.family())
    assert not any(secret in lines for secret in secrets)
    assert not any(secret in stack.said() + stack.logs() for secret in secrets)
    # Nor is a token in what was written to a file.
    assert "eyJ" not in stack.said()


def secret_files(home: Home) -> list[str]:
    names = ("redis.password", "postgres.password", "auth.secret")
    return [name for name in names if (home.path / name).exists()]


def test_as_root_in_an_open_place(closed_stack: Stack) -> None:
    require_closed(closed_stack)
    assert uids(closed_stack) == {
        "redis": {NUMBERS["redis"]},
        "postgres": {NUMBERS["postgres"]},
        "gateway": {NUMBERS["gateway"]},
        **{role: {NUMBERS["roles"]} for role in ("ingest", "fanout", "consumers")},
    }
    assert writing_capabilities(closed_stack) == set()
    assert capabilities(closed_stack, "gateway") == {0}
    # Roles are forked by one process, so what they were told stands in their memory alone.
    database, redis = (
        (closed_stack.home / name).read_bytes().strip()
        for name in ("postgres.password", "redis.password")
    )
    auth = SECRET.encode()
    roles = ("consumers", "fanout", "ingest")
    held = {role: held_by(closed_stack, role, auth, database, redis) for role in roles}
    assert held == {
        "consumers": {database, redis},
        "fanout": {auth, redis},
        "ingest": {auth, database, redis},
    }
    assert held_by(closed_stack, "postgres", auth, redis) == set()


def test_as_root_in_a_closed_place(tmp_path: Path) -> None:
    # Whoever keeps a checkout under /root: parts that are not root are let in to read.
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with Stack(closed / "home", *LIVE) as stack:
        goes_all_the_way(stack)
        require_closed(stack)
        assert "CAP_DAC_READ_SEARCH" in stack.said()
        for path in ("/map", "/assets/config.json"):
            with urllib.request.urlopen(stack.url + path, timeout=5) as answer:
                assert answer.status == 200
        assert writing_capabilities(stack) == set()
        assert capabilities(stack, "gateway") == {0}
        assert 0 not in set().union(*uids(stack).values())
        assert closed.stat().st_mode & 0o777 == 0o700
        assert copies_for(stack.home) == 1
    # What the front door was given to read elsewhere goes with it.
    assert copies_for(stack.home) == 0


def test_as_a_user(folder: Path) -> None:
    entry = next(entry for entry in pwd.getpwall() if entry.pw_name in NAMES)
    home = folder / "mine"
    home.mkdir()
    os.chown(home, entry.pw_uid, entry.pw_gid)
    # It may read what is root's alone here, so that it has an interpreter.
    user = Descent(SystemUser(entry.pw_name, entry.pw_uid, entry.pw_gid), Path(sys.executable))
    with Stack(home / "home", "--auth", become=user) as stack:
        require_closed(stack)
        assert set().union(*uids(stack).values()) == {entry.pw_uid}


def copies_for(home: Path) -> int:
    return sum(note.read_text() == str(home) for note in OPEN_FOLDER.glob(f"*/{HOME_NOTE}"))


def tree(stack: Stack, role: str) -> list[psutil.Process]:
    pid = stack.pid(role)
    assert pid is not None
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def uids(stack: Stack) -> dict[str, set[int]]:
    roles = ("redis", "postgres", "gateway", "consumers", "fanout", "ingest")
    return {
        role: {uid for process in tree(stack, role) for uid in process.uids()} for role in roles
    }


def capabilities(stack: Stack, role: str) -> set[int]:
    """All sets of all its processes but what it can never have again."""
    found = set()
    for process in tree(stack, role):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith(("CapInh", "CapPrm", "CapEff", "CapAmb")):
                found.add(int(line.split()[1], 16))
    return found


def writing_capabilities(stack: Stack) -> set[int]:
    """Sets that hold anything but CAP_DAC_READ_SEARCH."""
    return {found for role in uids(stack) for found in capabilities(stack, role) if found & ~4}


def held_by(stack: Stack, role: str, *secrets: bytes) -> set[bytes]:
    """Those that stand in the memory of one of a role's processes."""
    return {secret for process in tree(stack, role) for secret in in_memory(process.pid, secrets)}
