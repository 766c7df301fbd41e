"""`fleetline places`: the role that finds out what happens."""

import typer

from common import log
from common.processes import process
from common.processes.heartbeat import Heartbeat
from common.settings import load_settings
from consumers.places.extra import require


def places() -> None:
    """Run the places engine: what happens at geofences, to orders and drivers."""
    process.die_with_parent()
    require()
    # What follows is half a second of imports, and many on a busy machine.
    heartbeat = Heartbeat.from_env()
    heartbeat.beat()
    from consumers.places.serve import run

    settings = load_settings()
    log.configure("places", settings.log_level, settings.log_format)
    raise typer.Exit(run(settings, heartbeat))
