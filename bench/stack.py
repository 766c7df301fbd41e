"""The stack under measurement: `fleetline up` with the servers only, roles started as needed.

A scenario that measures ingest must not share its two cores with consumers that store; so the
servers run all the time, in a home and on ports of their own, and every scenario starts the roles
it is about, with the settings it is about, on empty servers.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench import accounting, database
from bench.processes import Failed, spawn, stop, wait_until
from common.keys import shard_keys
from common.processes.supervision.spec import State
from common.processes.supervision.state import read_state, state_file
from common.redis.client import new_client
from common.settings import Settings
from common.stream.backlog import ADDED, SETTLED, fixes_waiting, unread_entries
from deploy.servers.checks import http_answers
from deploy.stack.environment import role_environment
from deploy.stack.home import Home
from deploy.stack.wiring import CLUSTER_PORTS, OFFSETS, up_settings

START_TIMEOUT_S = 90.0
ROLE_TIMEOUT_S = 30.0
# Of each log, when something went wrong.
LINES = 6


class Stack:
    """Servers from `__enter__` to `__exit__`; roles between `start` and `stop_roles`."""

    def __init__(self, shards: int = 4, *, cluster: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="fleetline-bench-"))
        # The servers run as unprivileged users, who must be able to pass through.
        self.folder.chmod(0o755)
        self.home = self.folder / "home"
        self.shards = shards
        self.settings: Settings = up_settings(_free_base(), self.home, shards, cluster=cluster)
        nodes = [f"redis-{n + 1}" for n in range(len(CLUSTER_PORTS))]
        self._servers = (*(nodes if cluster else ("redis",)), "postgres", "gateway")
        self._options = ("--cluster",) if cluster else ()
        self._up: subprocess.Popen[str] | None = None
        self._roles: dict[str, subprocess.Popen[str]] = {}

    def __enter__(self) -> Self:
        log = self.folder / "up.log"
        port = str(self.settings.gateway_port)
        self._up = spawn(
            *("-m", "deploy.cli", "up", "--home", str(self.home), "--port", port, "--roles", ""),
            *self._options,
            log=log,
            env={"SHARDS": str(self.shards), "PYTHONUNBUFFERED": "1"},
        )
        up = self._up
        try:
            wait_until(
                lambda: "\nready " in log.read_text() or up.poll() is not None,
                START_TIMEOUT_S,
                "the servers were not ready",
            )
            if up.poll() is not None:
                raise Failed(f"the servers did not start: {log.read_text()}")
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self.stop_roles()
        if self._up is not None:
            stop(self._up, signal.SIGINT)
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def redis_url(self) -> str:
        """The Redis of this stack."""
        return self._noted("redis_url")

    @property
    def database_url(self) -> str:
        """The PostgreSQL of this stack."""
        return self._noted("database_url")

    def _noted(self, name: str) -> str:
        return Home(self.home).noted()[name]

    def log(self, name: str) -> Path:
        """Where a process of the bench writes."""
        return self.folder / f"{name}.log"

    def last_words(self) -> list[str]:
        """The last lines of the servers' logs, for when something went wrong."""
        logs = (self.folder / "up.log", self.home / "log" / "redis.log")
        return [
            line for log in logs if log.exists() for line in log.read_text().splitlines()[-LINES:]
        ]

    def reset(self, shards: int = 4) -> None:
        """No roles, empty servers, and a shard count."""
        self.stop_roles()
        self.shards = shards
        with self.redis() as client:
            client.flushall()

            def rewritten() -> bool:
                found = client.info("persistence")
                return not (found["aof_rewrite_in_progress"] or found["aof_rewrite_scheduled"])

            # A log that grew in the scenario before is not rewritten in the middle of this one;
            # Redis may have begun to by itself.
            what = "Redis did not rewrite its log"
            wait_until(rewritten, ROLE_TIMEOUT_S, what)
            client.bgrewriteaof()
            wait_until(rewritten, ROLE_TIMEOUT_S, what)
        database.clear(self.database_url)

    def start(self, *roles: str, **settings: object) -> None:
        """Start roles, in this order, and wait until they work."""
        for role in roles:
            environment = self.environment(role)
            environment |= {name.upper(): str(value) for name, value in settings.items()}
            log = self.log(role)
            process = spawn("-m", "deploy.cli", role, log=log, env=environment)
            self._roles[role] = process
            self._await(role, process)
            if process.poll() is not None:
                raise Failed(f"{role} did not start: {log.read_text()[-500:]}")

    def environment(self, role: str) -> dict[str, str]:
        """What a role is told of this stack."""
        stores = {"REDIS_URL": self.redis_url, "DATABASE_URL": self.database_url}
        told = role_environment(role, self.settings, os.environ, stores=stores, home=self.home)
        return told | {"SHARDS": str(self.shards)}

    def start_other(self, name: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start a program that is no role of Fleetline, accounted for under `name`."""
        process = spawn(*arguments, log=self.log(name), env=env)
        self._roles[name] = process
        return process

    def stop_roles(self, *names: str) -> None:
        """Stop these roles, or all."""
        for name in names or tuple(reversed(self._roles)):
            if name in self._roles:
                stop(self._roles.pop(name))

    def _await(self, role: str, process: "subprocess.Popen[str]") -> None:
        wait_until(
            lambda: self._works(role) or process.poll() is not None,
            ROLE_TIMEOUT_S,
            f"{role} was not ready",
        )

    def _works(self, role: str) -> bool:
        if role == "ingest":
            return http_answers("127.0.0.1", self.settings.ingest_port, "/health/live")
        if role == "fanout":
            return http_answers("127.0.0.1", self.settings.fanout_port, "/health/ready")
        if role in {"arrivals", "insight", "places", "hooks"}:
            # They are measured by what they store and send.
            return True
        state = read_state(state_file(self.home, "consumers"))
        if state is None or state.pid != self._roles["consumers"].pid:
            return False
        # Beside them run what forks them and what shares the shards.
        workers = [child for child in state.children if child.role.startswith("consumer-")]
        return [child.state for child in workers] == [State.RUNNING] * self.shards

    def roots(self) -> dict[str, list[int]]:
        """Pids by role, as the bench names them in its tables."""
        found = {role: [process.pid] for role, process in self._roles.items()}
        names = {"gateway": "nginx"}
        for server in self._servers:
            pid = (self.home / "run" / f"{server}.pid").read_text()
            found[names.get(server, server)] = [int(pid)]
        return found

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU by role until now."""
        return accounting.cpu_by_role(self.roots())

    @contextlib.contextmanager
    def redis(self) -> Iterator[Any]:
        """A redis-py client for whatever is not measured."""
        with new_client(self.redis_url) as client:
            yield client

    def backlog(self, client: Any) -> int:
        """Fixes that are not stored yet, over all shards; 0 only when no entry waits."""
        waiting = 0
        for shard in range(self.shards):
            keys = shard_keys(self.settings.stream_name, shard, self.shards)
            totals = client.hmget(keys.counts, ADDED, SETTLED)
            waiting += fixes_waiting(totals, _waiting_entries(client, keys.stream))
        return waiting

    def drained(self, timeout_s: float = 60.0) -> None:
        """Wait until everything accepted is stored. Raises `Failed`."""
        with self.redis() as client:
            wait_until(lambda: self.backlog(client) == 0, timeout_s, "the streams did not drain")

    def rows(self) -> int:
        """Rows in the history."""
        return database.rows(self.database_url)


def _free_base() -> int:
    """A port such that all that `--port` moves along are free now."""
    for base in range(21_000, 32_000, 32):
        with contextlib.ExitStack() as held, contextlib.suppress(OSError):
            for offset in OFFSETS.values():
                sock = held.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.bind(("127.0.0.1", base + offset))
            return base
    raise Failed("no free ports")


def _waiting_entries(client: Any, stream: str) -> int:
    if not client.exists(stream):
        return 0
    length: int = client.xlen(stream)
    groups = client.xinfo_groups(stream)
    if not groups:
        return length
    pending: int = groups[0]["pending"]
    return pending + unread_entries(length, groups[0]["lag"], pending)
