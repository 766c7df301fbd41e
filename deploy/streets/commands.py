"""`fleetline streets`: the maps under the drivers, built from OpenStreetMap extracts."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from common.errors import ConfigError, FleetlineError
from deploy.stack.home import Home
from deploy.stack.home_option import HomeOption, settings_of
from deploy.stack.streets import read_index, streets_folder

app = typer.Typer(
    help="Streets under the drivers: build a map from an OpenStreetMap extract, list, remove.",
    no_args_is_help=True,
)
# Of each stage, what is counted.
COUNTED = {"reading": "things read", "writing": "tiles written"}


@app.command()
def build(
    file: Annotated[Path, typer.Argument(help="An extract, as in liechtenstein.osm.pbf.")],
    *,
    name: Annotated[str | None, typer.Option(help="Name of the map [that of the file].")] = None,
    home: HomeOption = None,
) -> None:
    """Build the map of an extract. It replaces the one of its name, and pages show it at once."""
    build_shown(_home(home), file, name)


def build_shown(stack: Home, file: Path, name: str | None = None) -> None:
    """Build the map of an extract, say how far it is, and what came of it."""
    from deploy.streets.build import build_streets

    console = Console(highlight=False)
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    quiet = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=quiet) as progress:
        task = progress.add_task("reading")

        def show(stage: str, done: int) -> None:
            progress.update(task, description=f"{done:,} {COUNTED[stage]}")

        street_map, left_out = build_streets(stack, file, name, show)
    size_mb = street_map.size_bytes / 1e6
    console.print(f"{street_map.name}: {street_map.tiles:,} tiles, {size_mb:.1f} MB")
    for reason, count in left_out.items():
        console.print(f"left out {reason}: {count:,}")


def build_beside(stack: Home, file: Path) -> None:
    """The map of an extract that is added for its roads: what hinders it is one line, no more."""
    try:
        build_shown(stack, file)
    except FleetlineError as e:
        print(f"fleetline: no streets under the drivers: {e}", file=sys.stderr)


@app.command("list")
def list_maps(*, home: HomeOption = None) -> None:
    """Show the maps there are."""
    for one in read_index(streets_folder(_home(home))).maps:
        edges = f"{one.west:.2f},{one.south:.2f},{one.east:.2f},{one.north:.2f}"
        print(f"{one.name}  {one.tiles} tiles  {one.size_bytes / 1e6:.1f} MB  {edges}"
              f"  {one.built_at}")  # fmt: skip


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The map's name.")], *, home: HomeOption = None
) -> None:
    """Remove a map. Pages show the bare grid in its place."""
    from deploy.streets.build import remove_streets

    if not remove_streets(_home(home), name):
        raise ConfigError(f"streets: there is no map {name}")


def _home(named: Path | None) -> Home:
    return Home(settings_of(named).fleetline_home)
