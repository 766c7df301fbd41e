"""`fleetline dead`: what could never be stored, for people: look at it, send it again, remove it.

A replay needs a range (`--since`, or `--all` in so many words): old events are not brought back
by accident. Exit status: 0 done, 1 something is left or not there, 2 a wrong option.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import ConfigError, FleetlineError
from deploy.stack.home_option import HomeOption, settings_of

if TYPE_CHECKING:
    from deploy.tools.dead.letter import StoredLetter
    from deploy.tools.dead.store import DeadLetterStore

# A pipe has no width; wide enough that ids and reasons stay whole.
PIPE_COLUMNS = 200

app = typer.Typer(
    help="Look at, send again or remove what could never be stored.", no_args_is_help=True
)

Shard = Annotated[int | None, typer.Option(min=0, help="Only this shard.")]
Reason = Annotated[str | None, typer.Option(help="Only this reason.")]
Since = Annotated[str | None, typer.Option(help="Only newer: 45s, 30m, 2h, 3d, 1w or a time.")]
Json = Annotated[bool, typer.Option("--json", help="For programs.")]


@app.command("list")
def list_letters(
    *,
    shard: Shard = None,
    reason: Reason = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Show the newest dead letters, newest last."""
    from deploy.tools.dead.store import Choice

    choice = Choice(shard, _reason(reason), _moment("--since", since))
    with _letters(home) as dead:
        newest, count = dead.newest(choice, limit)
    if as_json:
        shown = [letter.shown() for letter in newest]
        print(json.dumps({"count": count, "dead_letters": shown}))
    elif newest:
        _print_table(newest, count)
    else:
        print("no dead letters")


@app.command()
def show(
    letter_id: Annotated[str, typer.Argument(metavar="ID", help="As `list` shows it.")],
    *,
    as_json: Json = False,
    home: HomeOption = None,
) -> None:
    """Show one dead letter whole, payload and all."""
    from common.log import printable
    from deploy.tools.dead.letter import parse_name

    shard, stream_id = parse_name(letter_id)
    with _letters(home) as dead:
        letter = dead.get(shard, stream_id)
    if letter is None:
        raise FleetlineError(f"there is no dead letter {letter_id}")
    shown = letter.shown()
    if as_json:
        print(json.dumps(shown))
        return
    for name, value in shown.items():
        if name != "payload_base64":
            print(f"{name:<11} {printable(str(value))}")


@app.command()
def replay(
    *,
    since: Since = None,
    everything: Annotated[bool, typer.Option("--all", help="However old.")] = False,
    shard: Shard = None,
    reason: Reason = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    home: HomeOption = None,
) -> None:
    """Put payloads back into the streams. What is older than the live position leaves it alone."""
    from deploy.tools.dead.store import Choice

    if everything == (since is not None):
        raise ConfigError("replay needs --since or --all, and not both")
    choice = Choice(shard, _reason(reason), _moment("--since", since))
    with _letters(home) as dead:
        done = dead.replay(choice, dry_run=dry_run)
    would = "would be " if dry_run else ""
    print(f"{would}replayed {done.replayed}, {would}left {done.undecodable} (undecodable)")
    raise typer.Exit(1 if done.undecodable else 0)


@app.command()
def purge(
    *,
    before: Annotated[str, typer.Option(help="Only older: an age like 30d, or a time.")],
    shard: Shard = None,
    home: HomeOption = None,
) -> None:
    """Remove dead letters for ever."""
    moment = _moment("--before", before)
    with _letters(home) as dead:
        assert moment is not None  # noqa: S101 - it is required
        removed = dead.purge(shard, moment)
    print(f"removed {removed}")


def _print_table(letters: Sequence["StoredLetter"], count: int) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from common.log import printable

    table = Table(box=None, header_style="bold")
    for column in ("id", "reason", "sqlstate", "tries", "failed at", "driver", "error"):
        table.add_column(column, no_wrap=True, overflow="ellipsis")
    for item in letters:
        letter = item.letter
        row = (
            *(item.name, letter.reason, letter.sqlstate, letter.attempts),
            *(letter.failed_at[:19], letter.driver_id, letter.error),
        )
        # Text, because a driver called [bold] is no markup.
        table.add_row(*(Text(printable(str(value))) for value in row))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    console.print(table)
    if count > len(letters):
        console.print(f"{count - len(letters)} older ones are not shown (--limit)")


@contextmanager
def _letters(home: Path | None) -> Iterator["DeadLetterStore"]:
    from deploy.tools.dead.store import dead_letters

    with dead_letters(settings_of(home)) as dead:
        yield dead


def _moment(option: str, text: str | None) -> datetime | None:
    from deploy.tools.dead.letter import parse_time

    return parse_time(option, text, datetime.now(UTC)) if text is not None else None


def _reason(text: str | None) -> str | None:
    from common.stream.dead_letter import REASONS

    if text is not None and text not in REASONS:
        raise ConfigError(f"--reason: must be one of {', '.join(REASONS)}, not {text!r}")
    return text
