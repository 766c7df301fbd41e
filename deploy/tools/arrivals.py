"""`fleetline arrivals`: the role that says when orders arrive."""

import typer

from common import log
from common.processes import process
from common.processes.heartbeat import Heartbeat
from common.settings import load_settings


def arrivals() -> None:
    """Run the arrivals: when the drivers of active orders will be there."""
    process.die_with_parent()
    # What follows is half a second of imports, and many on a busy machine.
    heartbeat = Heartbeat.from_env()
    heartbeat.beat()
    from consumers.arrivals.serve import run

    settings = load_settings()
    log.configure("arrivals", settings.log_level, settings.log_format)
    raise typer.Exit(run(settings, heartbeat))
