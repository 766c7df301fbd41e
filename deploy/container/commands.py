"""Commands that are made for containers, and work elsewhere too."""

from typing import Annotated

import typer

from common import log
from common.processes import process


def add_to(app: typer.Typer) -> None:
    """Make them commands of `fleetline`."""
    for command in (gateway, health, sbom):
        app.command()(command)


def gateway() -> None:
    """Run the front door: nginx before ingest and fan-out (INGEST_HOST, FANOUT_HOST)."""
    process.die_with_parent()
    from deploy.container.front_door import door_settings, run

    settings = door_settings()
    log.configure("gateway", settings.log_level, settings.log_format)
    raise typer.Exit(run(settings))


def health(
    role: Annotated[str, typer.Argument(help="The role [that of this container].")] = "",
    *,
    live: Annotated[bool, typer.Option("--live", help="Only: must it be started again?")] = False,
) -> None:
    """Say whether a role on this machine is well: 0 or 1. For health checks of containers."""
    from deploy.container.health import main

    raise typer.Exit(main([*([role] if role else []), *(["--live"] if live else [])]))


def sbom() -> None:
    """Write what is installed as a CycloneDX bill of materials, to standard output."""
    from deploy.container.sbom import write

    write()
