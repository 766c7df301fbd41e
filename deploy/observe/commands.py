"""`fleetline top` and `fleetline trace`: what stands on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from deploy.stack.home_option import HomeOption, settings_of


def top(
    *,
    every: Annotated[float, typer.Option(min=0.2, max=60, help="Seconds between two looks.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Two looks, once, for programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show the running stack live: flow, times, shards, processes, and what is wrong."""
    from deploy.observe.top_command import run

    raise typer.Exit(run(settings_of(home), every_s=every, as_json=as_json))


def trace(
    name: Annotated[
        str | None,
        typer.Argument(metavar="ID", help="A message_id, a driver or a trace id [the newest]."),
    ] = None,
    *,
    log: Annotated[
        list[Path] | None, typer.Option(help="File with log lines, - for stdin [the home's].")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show where the time of a fix went that TRACE_SAMPLE has chosen."""
    from deploy.observe.trace_command import run

    raise typer.Exit(run(name, settings_of(home), log or (), as_json=as_json))
