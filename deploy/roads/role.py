"""`fleetline roads`: the role that keeps the road engines of this machine.

An engine is a process of its own, never a part of a role: its library holds the interpreter's
lock. This role starts one for each graph, and learns speeds at night in a process that ends again.
"""

import asyncio
import os
import signal
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from common.errors import ConfigError
from common.log import get
from common.metrics.names import roads as names
from common.metrics.role import RoleMetrics
from common.metrics.snapshot import Snapshot
from common.processes import process
from common.processes.background import Background, keep_beating
from common.processes.heartbeat import Heartbeat
from common.processes.supervision.spec import State
from common.processes.supervision.state import ChildState, SupervisorState, state_file
from common.roads.urls import VEHICLES
from common.settings import Settings
from deploy.roads.build import NICE
from deploy.roads.executables import require_programs
from deploy.roads.graphs import GraphStore, store_of
from deploy.roads.keeper import LOOK_EVERY_S, EngineKeeper
from deploy.roads.server import RoadServer, ServerSite
from deploy.stack.wiring import engine_ports

# When speeds are learned: fleets sleep, and the day before is complete (UTC).
LEARN_AT = timedelta(hours=3, minutes=20)
# File of the store whose time says when that was last begun.
LEARN_FILE = "learned-at"

_log = get("roads")


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Keep the engines until SIGTERM or SIGINT. Returns the exit status. Raises `ConfigError`."""
    home = settings.fleetline_home.absolute()
    store = store_of(home)
    if not store.folder.is_dir():
        raise ConfigError(f"roads: there is no graph in {store.folder}; run fleetline roads add")
    asyncio.run(_RoadsRole(settings, store, home).run(heartbeat))
    return 0


class _RoadsRole:
    """The keepers of all vehicles, and the chores around them."""

    def __init__(self, settings: Settings, store: GraphStore, home: Path) -> None:
        self._settings = settings
        self._store = store
        self._state = state_file(home, "roads")
        programs, ports = require_programs(), engine_ports(settings)
        self._keepers = [
            EngineKeeper(
                store.graph(vehicle),
                RoadServer(
                    ServerSite(
                        f"roads-{vehicle}",
                        programs,
                        ports[vehicle],
                        self._state.with_name(f"roads-{vehicle}.pid"),
                    )
                ),
            )
            for vehicle in VEHICLES
        ]
        self._learn_at = next_night(_mtime(store.folder / LEARN_FILE), time.time())

    async def run(self, heartbeat: Heartbeat) -> None:
        """Until a stop signal."""
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        self._state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        background = Background(_log)
        background.run(keep_beating(heartbeat), name="heartbeat")
        background.run(RoleMetrics("roads", self._settings, self.put).run(), name="metrics")
        for keeper in self._keepers:
            name = keeper.graph.vehicle
            background.run(keeper.watch(), name=f"watch.{name}")
            background.run(keeper.ask(), name=f"ask.{name}")
            background.every(LOOK_EVERY_S, keeper.look_now, name=f"look.{name}")
        background.every(1.0, self._note, name="state")
        background.every(60.0, self._learn_when_due, name="learn")
        try:
            await stopping.wait()
        finally:
            await background.close()
            await asyncio.gather(*(keeper.server.stop() for keeper in self._keepers))
            self._state.unlink(missing_ok=True)

    def put(self, snapshot: Snapshot) -> None:
        """The role's numbers."""
        servers = [keeper.server for keeper in self._keepers]
        snapshot.put(names.ROADS_ENGINES, sum(server.pid is not None for server in servers))
        snapshot.put(names.ROADS_RESTARTS, sum(server.restarts for server in servers))
        learned = [keeper.graph.learned() for keeper in self._keepers]
        times = [facts.learned_at.timestamp() for facts in learned if facts is not None]
        if times:
            snapshot.put(names.ROADS_LEARNED_AGE, round(time.time() - max(times)))

    async def _note(self) -> None:
        """For `fleetline status`."""
        children = [
            ChildState(
                keeper.server.site.name,
                keeper.server.pid,
                State.RUNNING if keeper.server.pid is not None else State.BACKOFF,
                keeper.server.restarts,
                keeper.server.since,
            )
            for keeper in self._keepers
            if keeper.server.stem is not None
        ]
        ticks = process.started_ticks(os.getpid())
        partial = self._state.with_suffix(".new")
        state = SupervisorState("roads", os.getpid(), ticks, children)
        partial.write_bytes(msgspec.json.encode(state))
        partial.replace(self._state)

    async def _learn_when_due(self) -> None:
        now_s = time.time()
        if self._settings.insight == "off" or now_s < self._learn_at or not self._store.graphs():
            return
        (self._store.folder / LEARN_FILE).touch()
        self._learn_at = next_night(now_s, now_s)
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "deploy.cli", "roads", "learn",
            stdin=asyncio.subprocess.DEVNULL,
            # What a person would watch; what came of it is in the database.
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=_before_exec,
        )  # fmt: skip
        try:
            status = await child.wait()
        finally:
            if child.returncode is None:
                with suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        if status:
            _log.warning("roads.not_learned", status=status)


def next_night(last_s: float | None, now_s: float) -> float:
    """When speeds are learned next: in the first night after `last_s`, or after now."""
    since = datetime.fromtimestamp(now_s if last_s is None else last_s, UTC)
    night = since.replace(hour=0, minute=0, second=0, microsecond=0) + LEARN_AT
    return (night if night > since else night + timedelta(days=1)).timestamp()


def _mtime(file: Path) -> float | None:
    try:
        return file.stat().st_mtime
    except OSError:
        return None


def _before_exec() -> None:
    os.nice(NICE)
    process.set_parent_death_signal(signal.SIGTERM)
