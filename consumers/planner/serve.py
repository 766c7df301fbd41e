"""`fleetline planner`: makes plans until a stop signal."""

import asyncio
from functools import partial
from importlib.util import find_spec

from common.errors import ConfigError
from common.log import get
from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.roads.engine import RoadEngine
from common.roads.urls import parse_roads_url
from common.settings import Settings
from consumers.planner.door import PlanDoor
from consumers.planner.maker import PlanMaker
from consumers.planner.numbers import PlannerNumbers
from consumers.planner.solving.pool import SolverPool
from consumers.role import run_until_stopped

NOT_INSTALLED = "plans need the package pyvroom: pip install 'fleetline[dispatch]'"

# Solvers are killed and sockets closed: more than this says that something does not end.
DRAIN_S = 2.0

_log = get("planner")


def available() -> bool:
    """Whether the packages of the extra `dispatch` are installed."""
    return find_spec("vroom") is not None


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Make plans until SIGTERM or SIGINT. Returns the exit status. Raises `ConfigError`."""
    if not available():
        raise ConfigError(NOT_INSTALLED)
    asyncio.run(_plan(settings, heartbeat))
    return 0


async def _plan(settings: Settings, heartbeat: Heartbeat) -> None:
    pool = SolverPool()
    numbers = PlannerNumbers(pool)
    metrics = RoleMetrics("planner", settings, numbers.put)
    work = partial(_answer, settings, pool, numbers)
    await run_until_stopped(work, heartbeat, metrics, drain_s=DRAIN_S)


async def _answer(
    settings: Settings, pool: SolverPool, numbers: PlannerNumbers, stopping: asyncio.Event
) -> None:
    engine = RoadEngine(parse_roads_url(settings.roads_url))
    door = PlanDoor(pool, PlanMaker(engine, numbers), numbers)
    host, port = settings.planner_host, settings.planner_port
    try:
        server = await door.open(host, port)
    except OSError as e:
        raise ConfigError(f"PLANNER_PORT: {host}:{port}: {e.strerror or e}") from e
    pool.start()
    _log.info("planner.listening", host=host, port=port, solvers=len(pool.solvers))
    await stopping.wait()
    # Who waits for a plan is told so at once, and asks the next planner.
    server.close()
    await door.close()
    await pool.close()
    await engine.close()
