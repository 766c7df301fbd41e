"""`fleetline roads` and its commands."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from common import log
from common.contract import Vehicle
from common.errors import ConfigError
from common.roads.urls import DEFAULT_VEHICLE, VEHICLES
from common.settings import load_settings
from deploy.roads.graphs import GraphStore
from deploy.roads.steps import RoadSteps
from deploy.stack.home import Home
from deploy.stack.home_option import HomeOption, settings_of
from deploy.tools.role import Run, start_role

app = typer.Typer(help="The road engine: graphs made of map extracts; without a command, its role.")
_MB = 1e6
# A pipe has no width; wide enough that names and times stay whole.
PIPE_COLUMNS = 200


@app.callback(invoke_without_command=True)
def role(context: typer.Context) -> None:
    """Keep the engines of this machine until a stop signal."""
    if context.invoked_subcommand is not None:
        return

    def load() -> Run:
        from deploy.roads.role import run

        return run

    start_role("roads", load)


@app.command()
def add(
    extract: Annotated[Path, typer.Argument(help="A map extract, as in berlin.osm.pbf.")],
    *,
    vehicle: Annotated[str, typer.Option(help="car, bicycle, foot; several with commas.")] = "car",
    streets: Annotated[bool, typer.Option(help="The map under the drivers too.")] = True,
    home: HomeOption = None,
) -> None:
    """Make a graph of a map extract for each kind of vehicle, and the map that pages show.

    Each takes the place of an older one.
    """
    from deploy.roads.build import build, check_extract
    from deploy.roads.executables import require_programs
    from deploy.streets.commands import build_beside

    vehicles = parse_vehicles(vehicle)
    check_extract(extract)
    programs = require_programs()
    stack = _home(home)
    if streets:
        # First: under root this process gives up its rights next, and the map belongs to root.
        build_beside(stack, extract)
    store = open_store(stack, extract, programs.folder, programs.profiles)
    with store.changing(), RoadSteps() as steps:
        for kind in vehicles:
            folder = store.new_folder(kind)
            with steps.of(kind):
                facts = build(programs, extract, kind, folder, steps.show)
            store.put(kind, folder)
            size_mb = store.graph(kind).size() / _MB
            steps.say(f"{kind}: {facts.source}, {size_mb:,.1f} MB on disk")
    _say_what_follows(stack)


@app.command("list")
def list_graphs(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show the graphs, and what was learned for them."""
    from deploy.roads.graphs import store_of

    rows = []
    for graph, facts in store_of(_home(home).path).graphs():
        learned = graph.learned()
        rows.append(
            {
                "vehicle": graph.vehicle,
                "source": facts.source,
                "added_at": facts.added_at.isoformat(timespec="seconds"),
                "bytes": graph.size(),
                "learned_at": learned and learned.learned_at.isoformat(timespec="seconds"),
                "segments": learned.segments if learned else 0,
                "error_before": learned and round(learned.error_before, 4),
                "error_after": learned and round(learned.error_after, 4),
            }
        )
    if as_json:
        print(json.dumps(rows))
    elif not rows:
        print("there is no graph: fleetline roads add FILE.osm.pbf")
    else:
        width = None if sys.stdout.isatty() else PIPE_COLUMNS
        Console(highlight=False, markup=False, width=width).print(_table(rows))


@app.command()
def remove(
    vehicle: Annotated[str, typer.Argument(help="car, bicycle or foot.")],
    *,
    home: HomeOption = None,
) -> None:
    """Remove a graph. What is asked of it is answered by the fallback from then on."""
    (kind,) = parse_vehicles(vehicle)[:1]
    store = open_store(_home(home))
    with store.changing():
        if not store.remove(kind):
            raise ConfigError(f"roads: there is no graph for {kind}")
    print(f"{kind}: removed")


@app.command()
def learn(
    *,
    vehicle: Annotated[str, typer.Option(help="Kinds to learn for [all with a graph].")] = "",
    home: HomeOption = None,
) -> None:
    """Learn speeds by hour from the fleet's own trips; kept where they lower the error."""
    from deploy.roads.executables import require_programs
    from deploy.roads.learning.learn import learn_all
    from deploy.tools.stack_database import stack_databases

    settings = settings_of(home)
    # Read before this process becomes another account, which the home may be closed to.
    urls = list(stack_databases(settings).values())
    settings = load_settings(
        fleetline_home=settings.fleetline_home,
        database_url=urls[0],
        database_urls=",".join(urls) if len(urls) > 1 else "",
    )
    log.configure("roads", "warning")
    programs = require_programs()
    store = open_store(Home(settings.fleetline_home), programs.folder, programs.profiles)
    wanted = parse_vehicles(vehicle) if vehicle else VEHICLES
    kinds = [graph.vehicle for graph, _ in store.graphs() if graph.vehicle in wanted]
    if not kinds:
        of_kind = f" for {', '.join(wanted)}" if vehicle else ""
        raise ConfigError(
            f"roads: there is no graph{of_kind}; run fleetline roads add FILE.osm.pbf"
        )
    with store.changing(), RoadSteps() as steps:
        asyncio.run(learn_all(settings, programs, store, kinds, steps))


def parse_vehicles(text: str) -> list[Vehicle]:
    """The kinds that are named, each once. Raises `ConfigError`."""
    named = [part.strip() for part in text.split(",") if part.strip()] or [DEFAULT_VEHICLE]
    for name in named:
        if name not in VEHICLES:
            raise ConfigError(f"--vehicle: {name!r} is none of {', '.join(VEHICLES)}")
    return [vehicle for vehicle in VEHICLES if vehicle in named]


def open_store(home: Home, *read: Path) -> GraphStore:
    """The graphs of a home, to be changed. `read`: what is read on the way.

    Under root this process becomes the account of the roles first: the engine's role, which is
    that account, changes the same folder.
    """
    from deploy.roads.graphs import store_of
    from deploy.servers.privileges import descent, python_paths
    from deploy.stack import folders
    from deploy.stack.accounts import account_of

    account = account_of("roles")
    store = store_of(home.path)
    if account is None and store.folder.is_dir():
        # The role itself, most likely: all but this folder is another's.
        folders.make_folder(store.folder)
        return store
    with home.writing():
        home.folder("data")
        folders.make_folder(store.folder, 0o700, account)
    become = descent(account, home.path, *python_paths(), *read)
    if become is not None:
        become()
    return store


def _home(named: Path | None) -> Home:
    return Home(settings_of(named).fleetline_home)


def _say_what_follows(home: Home) -> None:
    """Whether a running stack takes it up by itself."""
    from common.processes.supervision.state import read_state, state_file

    up = read_state(state_file(home.path, "up"))
    if up is not None and not any(child.role == "roads" for child in up.children):
        print("start fleetline up again: it runs a road engine where it finds a graph")


def _table(rows: list[dict[str, object]]) -> Table:
    table = Table(box=None)
    for name in ("vehicle", "source", "added_at", "MB", "learned_at", "segments", "error"):
        table.add_column(name.replace("_at", ""))
    for row in rows:
        before, after = row["error_before"], row["error_after"]
        table.add_row(
            *(str(row[name]) for name in ("vehicle", "source", "added_at")),
            f"{float(str(row['bytes'])) / _MB:,.1f}",
            str(row["learned_at"] or "never"),
            str(row["segments"]),
            "" if after is None else f"{before:.1%} → {after:.1%}",
        )
    return table
