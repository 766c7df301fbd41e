"""`fleetline insight`: the role, and `fleetline insight rebuild`, which folds the history again."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from common import log
from common.databases.placing import database_of
from common.databases.seat import ONLY, Seat
from common.errors import ConfigError
from common.event import EPOCH
from common.settings import Settings, load_settings
from deploy.tools.dead.letter import parse_time
from deploy.tools.role import Run, start_role

app = typer.Typer(help="Trips, stops and statistics: follow the history, or fold it again.")
# While another process works off what is left.
LOOK_EVERY_S = 1.0
_ESTIMATE = "SELECT fleetline_history_estimate()"


@app.callback(invoke_without_command=True)
def role(context: typer.Context) -> None:
    """Follow the history until a stop signal."""
    if context.invoked_subcommand is not None:
        return

    def load() -> Run:
        from consumers.insight.serve import run

        return run

    start_role("insight", load)


@app.command()
def rebuild(
    *,
    driver: Annotated[str | None, typer.Option(help="Only this driver [all].")] = None,
    since: Annotated[
        str | None, typer.Option(help="What lies before stays; 30d or a time [the beginning].")
    ] = None,
) -> None:
    """Compute trips, stops and sums again from the history. It may be repeated, and cut off."""
    begin = EPOCH if since is None else parse_time("--since", since, datetime.now(UTC))
    settings = load_settings()
    log.configure("insight", "warning")
    asyncio.run(_rebuild_all(settings, begin, driver))


async def _rebuild_all(settings: Settings, since: datetime, driver: str | None) -> None:
    """In each database, or in the driver's."""
    from deploy.tools.stack_database import stack_databases

    every = list(stack_databases(settings))
    for seat in every if driver is None else [every[database_of(driver, len(every))]]:
        await _rebuild(settings, seat, since, driver)


async def _rebuild(settings: Settings, seat: Seat, since: datetime, driver: str | None) -> None:
    from consumers.insight.rebuild import adopt, left_since, mark, rules_used, waiting
    from consumers.insight.serve import follower_over, rules_of
    from consumers.insight.shares import LOCK_CLASS, SHARES
    from consumers.shares import Shares
    from deploy.tools.stack_database import stack_database

    console = Console(highlight=False)
    if seat != ONLY:
        console.print(f"{seat}:")
    async with stack_database(settings, seat) as connection:
        rules = rules_of(settings)
        used = await rules_used(connection)
        if used not in {None, repr(rules)}:
            raise ConfigError(
                f"the follower computes by {used}, these settings say {rules}: "
                "make them the same, and start the follower again where they changed"
            )
        await adopt(connection, rules)
        left = await left_since(connection, since) if since == EPOCH and driver is None else 0
        if left:
            console.print(f"going on: {left} drivers were left")
        else:
            await mark(connection, since, driver)
        total = await connection.fetchval(_ESTIMATE) if driver is None and since == EPOCH else None
        begin_s, shares = time.monotonic(), Shares(connection, LOCK_CLASS, SHARES)
        with _bar(console) as progress:
            task = progress.add_task("fixes", total=total or None)
            follower = follower_over(
                connection, settings, lambda: _show(progress, task, follower.fixes)
            )
            while True:
                held = await shares.balance()
                more = await follower.turn(held) if held else False
                if not more and not await waiting(connection):
                    break
                if not held:
                    await asyncio.sleep(LOOK_EVERY_S)
            progress.update(task, completed=follower.fixes, total=follower.fixes)
        span_s = time.monotonic() - begin_s
        console.print(
            f"{follower.repaired} drivers again, {follower.fixes} fixes in {span_s:.1f} s "
            f"({follower.fixes / max(span_s, 0.001):,.0f} a second)"
        )


def _show(progress: Progress, task: TaskID, fixes: int) -> None:
    progress.update(task, completed=fixes)


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
