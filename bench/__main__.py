"""`python -m bench`: run scenarios on a stack of their own, write and show what was found."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Annotated, Any

import asyncpg
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.markdown import Markdown

from bench import accounting
from bench.context import Bench, LostFixes
from bench.processes import Failed
from bench.report import aims, readme, result, summary, table
from bench.report.result import Figure, Outcome
from bench.scenarios import (
    access,
    arrivals,
    cluster,
    crossings,
    end_to_end,
    fanout,
    geofences,
    ingest_many,
    ingest_one,
    insight,
    locust_users,
    one_redis,
    pace,
    reads,
    sustained,
)
from bench.scenarios.beside import drain as beside_drain
from bench.scenarios.beside import live as beside_live
from bench.scenarios.beside import metrics
from bench.scenarios.storing import catch_up, drain, history, recovery, timescale, waiting
from bench.stack import Stack
from common.errors import FleetlineError
from common.processes.signals import stop_as_interrupt

ROOT = Path(__file__).parents[1]
RESULTS = Path("bench/results")
SCENARIOS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        ingest_one, ingest_many, drain, history, fanout, end_to_end, sustained, reads, recovery,
        catch_up, one_redis, access, insight, geofences, crossings, beside_live, beside_drain,
        arrivals, pace, metrics, locust_users, timescale, waiting, cluster,
    )
}  # fmt: skip
# Only when they are named: ten minutes each, to tell one per cent, or servers of their own.
NAMED = frozenset({beside_live.NAME, beside_drain.NAME, metrics.NAME, cluster.NAME})
# What a scenario may end with when something around it is wrong; anything else is a bug.
TROUBLE = (Failed, FleetlineError, OSError, asyncpg.PostgresError, RedisError, TimeoutError)
# What would lead the stack elsewhere.
FOREIGN = ("REDIS_URL", "DATABASE_URL", "SHARDS", "FLEETLINE_HOME", "AUTH")

console = Console(highlight=False)


class _Overtime(Failed):
    """A scenario took longer than its bound."""


def main(
    *,
    quick: Annotated[bool, typer.Option(help="Smaller and shorter: about 3 minutes.")] = False,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this scenario; may be given several times.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the scenarios and leave.")] = False,
    update_readme: Annotated[bool, typer.Option(help="Put the table into README.md.")] = False,
    seed: Annotated[int, typer.Option(help="Of the workload: same seed, same fixes.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for results and plots.")] = RESULTS,
) -> None:
    """Measure Fleetline on this machine."""
    if list_:
        for name, module in SCENARIOS.items():
            console.print(f"{name:12} {module.TITLE}")
        return
    unknown = set(only or ()) - set(SCENARIOS)
    if unknown:
        raise typer.BadParameter(f"no scenario {', '.join(sorted(unknown))}; see --list")
    chosen = [name for name in SCENARIOS if (name in only if only else name not in NAMED)]
    if not only and not timescale.is_possible():
        chosen.remove(timescale.NAME)
    for name in FOREIGN:
        os.environ.pop(name, None)
    config = {"quick": quick, "seed": seed, "scenarios": chosen}
    found = {**result.document(config, ())}
    outcomes = _measure(chosen, quick=quick, seed=seed)
    found["scenarios"] = result.document(config, outcomes)["scenarios"]
    raise typer.Exit(_report(found, outcomes, out, update_readme=update_readme))


def _measure(chosen: list[str], *, quick: bool, seed: int) -> list[Outcome]:
    outcomes = []
    with stop_as_interrupt(), Stack() as stack:
        bench = Bench(stack, quick, seed, lambda line: console.print(f"    {line}", style="dim"))
        for number, name in enumerate(chosen, 1):
            module = SCENARIOS[name]
            console.print(f"[bold]{number}/{len(chosen)}[/] {module.TITLE}")
            outcomes.append(_run(bench, module))
    return outcomes


def _run(bench: Bench, module: ModuleType) -> Outcome:
    before = accounting.machine_now()
    figures: list[Figure] = []
    error, lost = "", False
    try:
        with _bounded(module.BOUND_S):
            for figure in module.run(bench):
                figures.append(figure)
                _show(figure)
    except LostFixes as e:
        error, lost = f"LOST: {e}", True
    except TROUBLE as e:
        error = f"{type(e).__name__}: {e}"
        for line in bench.stack.last_words():
            bench.say(line)
    finally:
        bench.stack.stop_roles()
    if error:
        console.print(f"    {error}", style="red", markup=False)
    after = accounting.machine_now()
    others = accounting.others_share(before, after, os.cpu_count() or 1)
    if others > table.OTHERS_SHARE_MAX:
        console.print(f"    others used {others:.0%} of the cores meanwhile", style="yellow")
    return Outcome(module.NAME, round(after.at_s - before.at_s, 1), figures, error, lost, others)


def _show(figure: Figure) -> None:
    notes = f" ({'; '.join(figure.notes)})" if figure.notes else ""
    line = f"    {figure.label}: {table.number(figure.value)} {figure.unit}{notes}"
    console.print(line, markup=False)


@contextlib.contextmanager
def _bounded(seconds: float) -> Iterator[None]:
    """Raise in the main thread when the time is over."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise _Overtime(f"not done after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _report(
    found: dict[str, Any], outcomes: list[Outcome], out: Path, *, update_readme: bool
) -> int:
    from bench.report import plots

    by_key = {figure.key: figure for outcome in outcomes for figure in outcome.figures}
    verdicts = aims.judge(by_key)
    found["aims"] = [
        {"aim": v.aim.label, "bound": v.aim.bound, "value": v.value, "met": v.met} for v in verdicts
    ]
    path = result.write(out, found)
    text = table.report(found, outcomes, verdicts)
    path.with_suffix(".md").write_text(text)
    drawn = plots.draw(by_key, out, path.stem)
    console.print(Markdown(text))
    console.print(f"written: {path}, .md, {len(drawn)} plots", markup=False)
    if update_readme:
        section = summary.summary(table.where(found), by_key, verdicts)
        readme.update(ROOT, section, text, found, drawn)
    lost = [outcome.name for outcome in outcomes if outcome.lost]
    failed = [outcome.name for outcome in outcomes if outcome.error]
    if lost:
        console.print(f"fixes were lost in: {', '.join(lost)}", style="bold red")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        typer.run(main)
    except Failed as e:
        print(f"bench: {e}", file=sys.stderr)
        sys.exit(1)
