"""`fleetline`: the one console command. Each sub-command loads its code only when it is called.

A wrong setting is one line on standard error and exit status 2; other failures that have a name
are one line and 1. Only a bug shows a traceback.
"""

import asyncio
import sys
from datetime import datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import EXIT_CONFIG, ConfigError, FleetlineError
from common.processes import process
from deploy.container import commands as container
from deploy.observe import commands as observe
from deploy.roads import commands as roads
from deploy.stack.home_option import HomeOption, settings_of
from deploy.streets import commands as streets
from deploy.tools.access import commands as access
from deploy.tools.databases import commands as databases
from deploy.tools.dead import commands as dead
from deploy.tools.history import insight
from deploy.tools.hosts import commands as hosts
from deploy.tools.role import Run, start_role
from deploy.tools.roles import arrivals, hooks, places, planner
from deploy.tools.shards import commands as shards
from deploy.tools.traffic import commands as traffic
from deploy.tools.webhooks import commands as webhooks

if TYPE_CHECKING:
    from common.settings import Settings

app = typer.Typer(
    name="fleetline",
    help="Real-time driver tracking: GPS fixes in over HTTP, live positions and history, "
    "customers watch over WebSocket.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
app.add_typer(databases.app, name="databases")
app.add_typer(dead.app, name="dead")
app.add_typer(insight.app, name="insight")
app.add_typer(streets.app, name="streets")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(roads.app, name="roads")
app.add_typer(access.token_app, name="token")
app.add_typer(access.key_app, name="key")

# What `up` runs beside the servers.
ALL_ROLES = "roads,insight,places,hooks,arrivals,planner,consumers,fanout,ingest"


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fleetline {version('fleetline')}")
        raise typer.Exit


@app.callback()
def fleetline(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Real-time driver tracking: fixes in over HTTP, live positions and history out."""


@app.command()
def up(
    *,
    port: Annotated[
        int | None, typer.Option(help="Front door; all other ports move along.")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="Data, logs, pids [.fleetline].")] = None,
    shards: Annotated[int | None, typer.Option(help="Number of streams [4].")] = None,
    demo: Annotated[int, typer.Option(min=0, help="Let this many drivers move.")] = 0,
    gateway: Annotated[bool, typer.Option("--gateway/--no-gateway", help="Front door.")] = True,
    auth: Annotated[
        bool, typer.Option("--auth", help="Closed: nobody gets in without a token.")
    ] = False,
    cluster: Annotated[
        bool, typer.Option("--cluster", help="Redis as a cluster: 3 primaries, 3 replicas.")
    ] = False,
    roles: Annotated[str, typer.Option(hidden=True)] = ALL_ROLES,
) -> None:
    """Run everything on this machine, in the foreground. Ctrl-C drains and stops."""
    from deploy import local
    from deploy.roads.extra import roads_off
    from deploy.stack.extras import roles_off
    from deploy.stack.wiring import up_settings
    from deploy.tools.access.tokens import auth_overrides

    more = auth_overrides(home) if auth else None
    settings = up_settings(port, home, shards, more, cluster=cluster)
    _configure("up", settings)
    off = roles_off(settings) | roads_off(settings)
    chosen = tuple(name for name in local.ROLES if name in set(roles.split(",")) - off)
    options = local.UpOptions(gateway=gateway, demo=demo, roles=chosen, cluster=cluster)
    raise typer.Exit(local.up(settings, options))


@app.command()
def ingest() -> None:
    """Run ingest: HTTP in, stream out."""
    process.die_with_parent()
    from common.settings import load_settings
    from deploy.stack.limits import raise_file_limit
    from ingest.serve import run

    raise_file_limit()
    raise typer.Exit(run(load_settings()))


@app.command()
def consumers(
    only: Annotated[str | None, typer.Option(help="Shards it may run, as in 0,2-3 [all].")] = None,
) -> None:
    """Run the consumers: stream in, live positions and history out. Hosts share the shards."""

    def load() -> Run:
        from consumers.supervisor import run
        from deploy.stack.limits import raise_file_limit

        # A file for each worker that it hears.
        raise_file_limit()
        return partial(run, only=only)

    start_role("consumers", load)


@app.command()
def fanout() -> None:
    """Run the fan-out: positions out to customers' sockets."""
    process.die_with_parent()
    from common.settings import load_settings
    from fanout.serve import run

    raise typer.Exit(run(load_settings()))


for role in (places, arrivals, hooks, planner):
    app.command()(role)


@app.command()
def migrate(
    *,
    go_on: Annotated[
        bool, typer.Option("--go-on", help="Leave out what is away of several databases.")
    ] = False,
    home: HomeOption = None,
) -> None:
    """Bring the database's schema up to date, and look over both servers."""
    process.die_with_parent()
    from deploy.preflight import preflight
    from deploy.tools.stack_database import at_its_servers

    settings = at_its_servers(settings_of(home))
    _configure("migrate", settings)
    asyncio.run(preflight(settings, go_on=go_on))


app.command()(traffic.replay)
app.command()(traffic.simulate)


@app.command()
def retention(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Drop the days of the history that are older than HISTORY_RETENTION_DAYS."""
    from common.settings import load_settings
    from deploy.tools.history.retention import run

    raise typer.Exit(run(load_settings(), dry_run=dry_run))


@app.command()
def archive(
    *,
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The days before it.")],
    to: Annotated[Path, typer.Option(help="Folder for the files, one a day.")],
    drop: Annotated[bool, typer.Option("--drop", help="Drop each day once it is checked.")] = False,
) -> None:
    """Write days of the history to Parquet files."""
    from common.settings import load_settings
    from deploy.tools.history.archive import run

    raise typer.Exit(run(load_settings(), before.date(), to, drop=drop))


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new folder for it, closed to others.")],
    *,
    home: HomeOption = None,
) -> None:
    """Copy the stream and the history of a running stack, as they belong together."""
    from deploy.backup.making import run

    raise typer.Exit(run(settings_of(home), folder))


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What `fleetline backup` made.")],
    *,
    home: Annotated[Path | None, typer.Option(help="The empty home to fill [.fleetline].")] = None,
) -> None:
    """Make a home of a backup; `fleetline up` then starts it."""
    from deploy.backup.restoring import run

    raise typer.Exit(run(settings_of(home), folder))


@app.command()
def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show every process of the running stack, and what waits in each shard."""
    from deploy.status import run

    raise typer.Exit(run(settings_of(home), as_json=as_json))


app.command()(hosts.hosts)
app.command()(hosts.drain)
app.command()(shards.reshard)
app.command()(observe.top)
app.command()(observe.trace)
container.add_to(app)


def _configure(role: str, settings: "Settings") -> None:
    from common import log

    log.configure(role, settings.log_level, settings.log_format)


def main() -> None:
    """Entry point: turns named failures into one line and an exit status."""
    try:
        app()
    except FleetlineError as e:
        print(f"fleetline: {e}", file=sys.stderr)
        sys.exit(EXIT_CONFIG if isinstance(e, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
