"""The embedded PostgreSQL: durable, loopback TCP only, and one role that may log in.

Its superuser never can: what needs one is said to the server without a client, before it listens.
The list of who may log in is written at every start, beside the data folder. So a home of an
earlier version, which trusted every user of this machine, is closed by its next start.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from common.processes import process
from common.processes.supervision.policy import RestartPolicy
from common.processes.supervision.spec import ChildSpec
from deploy.servers import packages
from deploy.servers.checks import postgres_answers
from deploy.servers.postgres_making import (
    POSTGRES_PASSWORD,
    close_database,
    make_database,
    server_environment,
)
from deploy.servers.privileges import descent
from deploy.stack import folders
from deploy.stack.accounts import account_of
from deploy.stack.home import Home

# A server whose `up` was killed gets SIGINT from the kernel; this long it may take to leave.
LEFTOVER_S = 8.0

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A socket's path must be short, a home's need not be.
    "unix_socket_directories": "",
    # The promise: what is acknowledged to the stream is on disk.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # For a small machine; the load is COPY in and short range reads out.
    "max_connections": "100",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "jit": "off",
    # Routes look into many daily partitions.
    "max_locks_per_transaction": "256",
    "tcp_keepalives_idle": "60",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}
# First match decides, and what matches nothing is refused: so are the superuser and replication.
CLIENTS = """\
# Written by `fleetline up` at every start.
host fleetline fleetline 127.0.0.1/32 scram-sha-256
"""


def postgres_spec(home: Home, port: int, say: Callable[[str], None]) -> ChildSpec:
    """The server on loopback `port`, its data under data/postgres, made now if there is none.

    The role's password is in the home's file `postgres.password` when this returns.
    """
    data = home.folder("data") / "postgres"
    folders.refuse_link(data)
    _clear_leftover(data)
    if not (data / "PG_VERSION").exists():
        say("postgres: making the database (first use)")
        make_database(home, data)
    if not (home.path / POSTGRES_PASSWORD).exists():
        close_database(home, data)
    account = account_of("postgres")
    if account is not None:
        folders.hand_over(data, account)
    folders.make_folder(data, 0o700, account)
    binary = packages.postgres_binary("postgres")
    clients = home.folder("data") / "postgres.clients"
    folders.write_file(clients, CLIENTS.encode(), 0o644)
    settings = SETTINGS | {"hba_file": str(clients), "password_encryption": "scram-sha-256"}
    options = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
    return ChildSpec(
        name="postgres",
        argv=(str(binary), "-D", str(data), "-p", str(port), *options),
        env=server_environment(),
        inherits_env=False,
        cwd=data,
        log_file=home.log("postgres"),
        pid_file=home.pid("postgres"),
        ready=lambda: postgres_answers(port),
        prepare=lambda: _clear_leftover(data),
        become=descent(account, home.path, binary.parent),
        # SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        stop_timeout_s=5.0,
        policy=RestartPolicy(halting=frozenset()),
    )


def _clear_leftover(data: Path) -> None:
    """Remove the pid file of a server that is gone; wait for one that is just leaving.

    The home is locked by us, so no other server can be meant to run here. PostgreSQL itself
    refuses to start when the number in the file was given to another process since.
    """
    pid_file = data / "postmaster.pid"
    deadline_s = time.monotonic() + LEFTOVER_S
    while (pid := _postmaster(pid_file, data)) is not None:
        if time.monotonic() > deadline_s:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
            deadline_s = time.monotonic() + LEFTOVER_S
        time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _postmaster(pid_file: Path, data: Path) -> int | None:
    """Pid of the living server that wrote the file."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        # The server's account wrote the number; a process of another user is not that server.
        if Path(f"/proc/{pid}").stat().st_uid != data.stat().st_uid:
            return None
    except (OSError, ValueError):
        return None
    line = process.command_line(pid)
    return pid if process.is_alive(pid) and "postgres" in line and str(data) in line else None
