"""A real PgBouncer before a test's PostgreSQL, where one is installed."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

from common.processes.process import set_parent_death_signal
from deploy.servers.privileges import descent
from deploy.stack.accounts import named_account
from tests.servers import free_port
from tests.wait import wait_until

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

Mode = Literal["session", "transaction"]
MODES: tuple[Mode, ...] = ("session", "transaction")

_CONFIG = """
[databases]
* = host=127.0.0.1 port={postgres} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {servers}
max_client_conn = 200
# Seconds until a server that was away is asked again.
server_login_retry = 1
logfile = {folder}/pgbouncer.log
"""


@contextlib.contextmanager
def pgbouncer(postgres_port: int, mode: Mode, *, servers: int = 3) -> Iterator[int]:
    """One for the block, with at most so many connections to each database; its port."""
    assert PROGRAM is not None
    folder = Path(tempfile.mkdtemp(prefix="fleetline-pgbouncer-"))
    folder.chmod(0o755)
    port = free_port()
    config = folder / "pgbouncer.ini"
    config.write_text(
        _CONFIG.format(postgres=postgres_port, port=port, mode=mode, servers=servers, folder=folder)
    )
    # It does not run as root.
    account = named_account()
    become = None
    if account is not None:
        os.chown(folder, account.uid, account.gid)
        become = descent(account, folder, Path(PROGRAM).parent)

    def prepare() -> None:
        if become is not None:
            become()
        set_parent_death_signal(signal.SIGTERM)

    process = subprocess.Popen(
        [PROGRAM, "-q", str(config)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=prepare,
    )
    try:
        wait_until(lambda: _listens(port), what="PgBouncer")
        yield port
    finally:
        process.kill()
        process.wait(timeout=20)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def through(url: str, port: int) -> str:
    """The same database, by way of a pooler on that port."""
    head, _, database = url.rpartition("/")
    return f"{head.rpartition(':')[0]}:{port}/{database}"
