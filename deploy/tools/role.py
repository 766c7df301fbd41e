"""How the roles beside ingest and the fan-out start."""

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

import typer

from common.processes import process
from common.processes.heartbeat import Heartbeat

if TYPE_CHECKING:
    from common.settings import Settings

# Runs a role until a stop signal; the exit status.
Run = Callable[["Settings", Heartbeat], int]


def start_role(name: str, load: Callable[[], Run]) -> NoReturn:
    """Beat, then load a role's program and run it: `load` imports what it returns.

    Raises `typer.Exit` with its exit status, and `ConfigError`.
    """
    process.die_with_parent()
    # What follows is half a second of imports, and many on a busy machine.
    heartbeat = Heartbeat.from_env()
    heartbeat.beat()
    from common import log
    from common.settings import load_settings

    run = load()
    settings = load_settings()
    log.configure(name, settings.log_level, settings.log_format)
    raise typer.Exit(run(settings, heartbeat))
