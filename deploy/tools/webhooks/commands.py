"""`fleetline webhooks`: for people, what the API shows to programs; and `replay`.

A replay needs a range (`--since`, or `--all` in so many words): old events are not sent again by
accident. Exit status: 0 done, 1 not there, 2 a wrong option.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
import typer

from common.errors import ConfigError, FleetlineError
from deploy.stack.home_option import HomeOption, settings_of

if TYPE_CHECKING:
    from deploy.tools.webhooks.store import Rows

# A pipe has no width; wide enough that ids stay whole.
PIPE_COLUMNS = 200

app = typer.Typer(
    help="Webhooks: what was delivered and why not; send the dead again.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Its id.")]
OneOrAll = Annotated[str | None, typer.Argument(metavar="[WEBHOOK]", help="Its id [all].")]
Limit = Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_webhooks(*, as_json: Json = False, home: HomeOption = None) -> None:
    """Show all webhooks: on or off and why, what waits and what is dead."""
    rows = _ask(home, lambda store: store.webhooks())
    columns = ("webhook_id", "state", "waiting", "delivered", "dead", "failing_since", "url")
    _show(rows, columns, as_json=as_json, nothing="no webhooks")


@app.command()
def deliveries(
    webhook: Id,
    *,
    state: Annotated[
        Literal["waiting", "delivered", "dead"] | None, typer.Option(help="Only these [all].")
    ] = None,
    limit: Limit = 100,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Show what was delivered to a webhook, and why not, newest first."""
    rows = _ask(home, lambda store: store.deliveries(webhook, state, limit))
    _show_deliveries(rows, as_json=as_json, nothing="no deliveries")


@app.command()
def dead(
    webhook: OneOrAll = None,
    *,
    limit: Limit = 100,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Show deliveries that were given up, newest first."""
    rows = _ask(home, lambda store: store.deliveries(webhook, "dead", limit))
    _show_deliveries(rows, as_json=as_json, nothing="no dead deliveries")


@app.command()
def replay(
    webhook: OneOrAll = None,
    *,
    since: Annotated[
        str | None, typer.Option(help="Events newer than this: 45s, 30m, 2h, 3d, 1w or a time.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="However old.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    home: HomeOption = None,
) -> None:
    """Send dead deliveries again, for another 24 hours, before newer ones of their drivers."""
    from deploy.tools.dead.letter import parse_time

    if everything == (since is not None):
        raise ConfigError("replay needs --since or --all, and not both")
    moment = parse_time("--since", since, datetime.now(UTC)) if since is not None else None
    count = _ask(home, lambda store: store.replay(webhook, moment, dry_run=dry_run))
    print(f"{'would be ' if dry_run else ''}replayed {count}")


def _ask(home: Path | None, question: "Any") -> Any:
    from deploy.tools.stack_database import stack_database
    from deploy.tools.webhooks.store import HookStore, NoSuchWebhook

    settings = settings_of(home)

    async def ask() -> Any:
        async with stack_database(settings) as connection:
            return await question(HookStore(connection))

    try:
        return asyncio.run(ask())
    except NoSuchWebhook as e:
        raise FleetlineError(f"there is no webhook {e}") from e


def _show_deliveries(rows: "Rows", *, as_json: bool, nothing: str) -> None:
    columns = (
        *("webhook_id", "event_id", "type", "driver_id", "state", "attempts", "attempted_at"),
        *("status", "error", "next_attempt_at"),
    )
    _show(rows, columns, as_json=as_json, nothing=nothing)


def _show(rows: "Rows", columns: Sequence[str], *, as_json: bool, nothing: str) -> None:
    if as_json:
        print(orjson.dumps(rows, option=orjson.OPT_UTC_Z).decode())
    elif rows:
        _print_table(rows, columns)
    else:
        print(nothing)


def _print_table(rows: "Rows", columns: Sequence[str]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from common.log import printable

    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), no_wrap=True, overflow="ellipsis")
    for row in rows:
        # Text, because a webhook called [bold] is no markup.
        table.add_row(*(Text(printable(_text(row[column]))) for column in columns))
    Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS).print(table)


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "" if value is None else str(value)
