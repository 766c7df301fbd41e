"""One child process per shard, kept alive. Imports no Redis and no database code.

Settings travel by environment. The shards to run can be a subset: several hosts share them.
"""

import re
import sys
from pathlib import Path

from common.errors import ConfigError
from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.processes.spec import ChildSpec
from common.processes.state import state_file
from common.processes.supervisor import Supervisor
from common.settings import Settings

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


def run(settings: Settings, heartbeat: Heartbeat, only: frozenset[int] | None = None) -> int:
    """Run the consumers of all shards, or of `only`, until a stop signal. Returns the status."""
    home = settings.fleetline_home.absolute() if settings.given("fleetline_home") else None
    state = state_file(home, "consumers") if home is not None else None
    shards = sorted(only if only is not None else range(settings.shards))
    supervisor = Supervisor(
        "consumers",
        drain_timeout_s=settings.drain_timeout_s,
        state_file=state,
        heartbeat=heartbeat,
        drain_together=True,
        observer=RoleMetrics("consumers", settings),
    )
    with supervisor:
        supervisor.spawn(*(_consumer(settings, shard, state) for shard in shards))
        return supervisor.run()


def _consumer(settings: Settings, shard: int, state: Path | None) -> ChildSpec:
    name = f"consumer-{shard}"
    return ChildSpec(
        name=name,
        argv=(sys.executable, "-m", "consumers.worker", "--shard", str(shard)),
        # A worker that is aborted writes the stacks of its threads.
        env={"PYTHONFAULTHANDLER": "1"},
        # Its lines stand with this supervisor's own: `role` tells them apart.
        pid_file=state.with_name(f"{name}.pid") if state is not None else None,
        heartbeat_timeout_s=settings.heartbeat_timeout_s,
        stop_timeout_s=settings.drain_timeout_s,
    )
