"""The embedded PostgreSQL: made on first use, durable, loopback TCP only.

As root it runs as an unprivileged user who owns its data folder and nothing else.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from common.errors import FleetlineError
from common.processes import process
from common.processes.policy import RestartPolicy
from common.processes.spec import ChildSpec
from deploy.home import Home
from deploy.servers import packages, privileges
from deploy.servers.checks import postgres_answers

NAME = "fleetline"
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


def postgres_spec(home: Home, port: int, say: Callable[[str], None]) -> ChildSpec:
    """The server on loopback `port`, its data under data/postgres, made now if there is none."""
    account = privileges.unprivileged_account()
    data = home.folder("data") / "postgres"
    binary = packages.postgres_binary("postgres")
    _clear_leftover(data)
    if not (data / "PG_VERSION").exists():
        say("postgres: making the database (first use)")
        _make(home, data, account)
    options = [part for key, value in SETTINGS.items() for part in ("-c", f"{key}={value}")]
    return ChildSpec(
        name="postgres",
        argv=(str(binary), "-D", str(data), "-p", str(port), *options),
        env=_environment(),
        cwd=data,
        log_file=home.log("postgres"),
        pid_file=home.pid("postgres"),
        ready=lambda: postgres_answers(port),
        prepare=lambda: _clear_leftover(data),
        become=privileges.become(account, data, binary.parent),
        # SIGINT is its fast shutdown; SIGTERM would wait for every client to leave.
        stop_signal=signal.SIGINT,
        orphan_signal=signal.SIGINT,
        stop_timeout_s=5.0,
        policy=RestartPolicy(halting=frozenset()),
    )


def _make(home: Home, data: Path, account: privileges.Account | None) -> None:
    """initdb and the database, under another name first: half of it is never taken for all."""
    partial = data.with_name("postgres.new")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    privileges.give(account, partial)
    become = privileges.become(account, partial, packages.postgres_binary("initdb").parent)
    with home.log("postgres").open("ab") as output:

        def call(program: str, *arguments: str, text: str = "") -> None:
            result = subprocess.run(
                (str(packages.postgres_binary(program)), *arguments),
                input=text.encode(),
                stdout=output,
                stderr=output,
                cwd=partial,
                env={**os.environ, **_environment()},
                preexec_fn=_with_parent(become),
                check=False,
            )
            if result.returncode != 0:
                raise FleetlineError(
                    f"postgres: {program} failed with {result.returncode}; see {output.name}"
                )

        call(
            "initdb", "-D", str(partial), "--username=postgres", "--encoding=UTF8", "--locale=C",
            "--no-instructions", "--auth-local=reject", "--auth-host=trust",
        )  # fmt: skip
        # Before it listens anywhere; without a client.
        call(
            "postgres", "--single", "-D", str(partial), "postgres",
            text=f"CREATE ROLE {NAME} LOGIN;\nCREATE DATABASE {NAME} OWNER {NAME};\n",
        )  # fmt: skip
    partial.rename(data)


def _with_parent(become: Callable[[], None] | None) -> Callable[[], None]:
    def prepare() -> None:
        if become is not None:
            become()
        process.set_parent_death_signal(signal.SIGKILL)

    return prepare


def _environment() -> dict[str, str]:
    # No locale that is not installed, and no PGPORT of the user (-p wins, but it must parse).
    return {"LC_ALL": "C", "TZ": "UTC", "PGPORT": "5432"}


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
    except (OSError, ValueError):
        return None
    line = process.command_line(pid)
    return pid if process.is_alive(pid) and "postgres" in line and str(data) in line else None
