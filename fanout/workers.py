"""Several fan-out processes on one port: the kernel spreads connections (SO_REUSEPORT).

Each process subscribes only to what its own sessions watch, so they share nothing.
"""

import sys

from common.metrics.role import RoleMetrics
from common.processes.heartbeat import Heartbeat
from common.processes.supervision.spec import ChildSpec
from common.processes.supervision.state import state_file
from common.processes.supervision.supervisor import Supervisor
from common.settings import Settings


def supervise(settings: Settings) -> int:
    """Keep `FANOUT_WORKERS` processes alive until a stop signal; the exit status."""
    home = settings.fleetline_home.absolute() if settings.given("fleetline_home") else None
    # Where `fleetline status` finds the workers.
    state = state_file(home, "fanout") if home is not None else None
    if state is not None:
        state.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    env = settings.environment()
    with Supervisor(
        "fanout",
        drain_timeout_s=settings.drain_timeout_s,
        state_file=state,
        heartbeat=Heartbeat.from_env(),
        drain_together=True,
        observer=RoleMetrics("fanout", settings),
    ) as supervisor:
        supervisor.spawn(
            *(
                ChildSpec(
                    name=f"fanout-{number}",
                    argv=(sys.executable, "-m", "fanout"),
                    env=env,
                    heartbeat_timeout_s=settings.heartbeat_timeout_s,
                    stop_timeout_s=settings.drain_timeout_s,
                )
                for number in range(settings.fanout_workers)
            )
        )
        return supervisor.run()
