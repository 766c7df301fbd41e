"""A child process for each shard that this host has, kept alive. Speaks to no server.

Settings travel by environment. Which shards these are says the share agent, a child too: several
hosts share them, and one host alone has all.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from common.errors import ConfigError
from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.forking import ForkServer
from common.processes.supervision.spec import ChildSpec
from common.processes.supervision.state import state_file
from common.settings import Settings
from consumers.runner import AGENT, FORK_SERVER, ShardRunner
from consumers.stream.holder import HOST_ENV, new_host

_PART = re.compile(r"(\d{1,4})(?:-(\d{1,4}))?\Z")


def parse_only(text: str, shards: int) -> frozenset[int]:
    """The shards that `--only` names: numbers and ranges, as in `0,2-3`.

    Raises `ConfigError` that says which part is wrong.
    """
    chosen: set[int] = set()
    for part in text.split(","):
        match = _PART.match(part.strip())
        if match is None:
            raise ConfigError(f"--only: {part.strip()!r} is neither a shard nor a range like 2-3")
        first = int(match[1])
        last = int(match[2]) if match[2] is not None else first
        if last < first:
            raise ConfigError(f"--only: {part.strip()!r} runs backwards")
        if last >= shards:
            raise ConfigError(
                f"--only: there is no shard {last}, SHARDS={shards} has 0-{shards - 1}"
            )
        chosen.update(range(first, last + 1))
    return frozenset(chosen)


def run(settings: Settings, heartbeat: Heartbeat, *, only: str | None) -> int:
    """Run this host's share of the shards until a stop signal; the exit status.

    `only`: those that it may run, see `parse_only`; None: all. Raises `ConfigError`.
    """
    chosen = parse_only(only, settings.shards) if only is not None else None
    home = settings.fleetline_home.absolute() if settings.given("fleetline_home") else None
    state = state_file(home, "consumers") if home is not None else None
    host = new_host()
    runner = ShardRunner(RoleMetrics("consumers", settings), _Workers(settings, state, host))
    supervisor = ChangingSupervisor(
        "consumers",
        drain_timeout_s=settings.drain_timeout_s,
        state_file=state,
        heartbeat=heartbeat,
        drain_together=True,
        observer=runner,
    )
    with supervisor:
        runner.begin(supervisor, _agent(settings, host, chosen), _fork_server(settings))
        return supervisor.run()


def _agent(settings: Settings, host: str, only: frozenset[int] | None) -> ChildSpec:
    chosen = ("--only", ",".join(map(str, sorted(only)))) if only is not None else ()
    return ChildSpec(
        name=AGENT,
        argv=(sys.executable, "-m", "consumers.sharing.agent", "--host", host, *chosen),
        heartbeat_timeout_s=settings.heartbeat_timeout_s,
        stop_timeout_s=settings.drain_timeout_s,
    )


def _fork_server(settings: Settings) -> ChildSpec:
    return ChildSpec(
        name=FORK_SERVER,
        argv=(sys.executable, "-m", "consumers.fork_server"),
        # Inherited by all workers: one that is aborted writes the stacks of its threads.
        env={"PYTHONFAULTHANDLER": "1"},
        heartbeat_timeout_s=settings.heartbeat_timeout_s,
        stop_timeout_s=settings.drain_timeout_s,
    )


class _Workers:
    """How a worker of this host is started: called with who forks, its name and its arguments."""

    def __init__(self, settings: Settings, state: Path | None, host: str) -> None:
        self._settings = settings
        self._state = state
        self._host = host

    def __call__(self, forks: ForkServer, name: str, arguments: Sequence[str]) -> ChildSpec:
        return ChildSpec(
            name=name,
            argv=(sys.executable, "-m", "consumers.worker", *arguments),
            env={"PYTHONFAULTHANDLER": "1", HOST_ENV: self._host},
            # Its lines stand with this supervisor's own: `role` tells them apart.
            pid_file=self._state.with_name(f"{name}.pid") if self._state is not None else None,
            heartbeat_timeout_s=self._settings.heartbeat_timeout_s,
            fork=forks.fork,
            stop_timeout_s=self._settings.drain_timeout_s,
        )
