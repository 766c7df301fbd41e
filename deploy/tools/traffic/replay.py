"""`fleetline replay`: a recorded trace through the HTTP API, at a multiple of its own pace."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from common.processes.signals import stop_as_interrupt
from deploy.tools.trace.fix import RecordedFix
from deploy.tools.trace.read import ReadOptions, read_trace
from deploy.tools.trace.times import span
from deploy.tools.trace.trace import Trace
from deploy.tools.traffic.register import recorded_orders, register
from deploy.tools.traffic.sender import Sender, Totals, Unreachable

# Fixes a body at full speed: large enough to be quick, small enough for a bar that moves.
BODY_FIXES = 500


def dates(trace: Trace, speed: float, begin: datetime) -> Callable[[RecordedFix], datetime]:
    """The time that each fix gets; never one after its sending.

    At a pace a fix is dated when it is due: a drive that is sent forty times as fast is driven
    forty times as fast, and is live while it is sent. At full speed there is no pace to date by:
    the trace ends at `begin` and keeps its spacing.
    """
    if speed == 0:
        shift = begin - trace.newest()
        return lambda fix: fix.recorded_at + shift
    oldest = trace.oldest()
    return lambda fix: begin + (fix.recorded_at - oldest) / speed


def bodies(trace: Trace, speed: float) -> Iterator[tuple[float, list[RecordedFix]]]:
    """(seconds after the start, fixes) in file order. A late row goes with the one before it."""
    if speed == 0:
        for first in range(0, len(trace.fixes), BODY_FIXES):
            yield 0.0, list(trace.fixes[first : first + BODY_FIXES])
        return
    oldest = trace.oldest()
    due_s, waiting = 0.0, list[RecordedFix]()
    for fix in trace.fixes:
        at_s = max(due_s, (fix.recorded_at - oldest).total_seconds() / speed)
        if waiting and (at_s > due_s or len(waiting) == BODY_FIXES):
            yield due_s, waiting
            waiting = []
        due_s = at_s
        waiting.append(fix)
    yield due_s, waiting


def run(
    file: Path,
    options: ReadOptions,
    *,
    speed: float,
    url: str,
    token: str = "",
    register_orders: bool = False,
) -> int:
    """Replay `file`. Returns the exit status: 0 when every row was accepted."""
    trace = read_trace(file, options)
    console = Console(highlight=False, soft_wrap=True)
    sender = Sender(url, token=token)
    sender.totals.refuse(trace.refused)
    sender.totals.skip(trace.skipped)
    for note in trace.notes:
        console.print(note, markup=False)
    status = 0
    try:
        with stop_as_interrupt():
            if register_orders:
                console.print(register(recorded_orders(trace.fixes), url, token))
            if trace.fixes:
                _send(trace, speed, sender, console)
    except Unreachable as e:
        print(f"fleetline: {e}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt:
        console.print("interrupted")
        status = 130
    finally:
        sender.close()
    totals = sender.totals
    _report(totals, trace.rows(), console)
    return status or (1 if totals.refused or totals.skipped else 0)


def _send(trace: Trace, speed: float, sender: Sender, console: Console) -> None:
    duration_s = trace.duration_s()
    pace = f"takes {span(duration_s / speed)}" if speed else "as fast as accepted"
    console.print(f"{len(trace.fixes)} fixes of {span(duration_s)}: {pace}")
    date, begin_s = dates(trace, speed, datetime.now(UTC)), time.monotonic()
    with _bar(console, len(trace.fixes)) as advance:
        for due_s, fixes in bodies(trace, speed):
            wait_s = begin_s + due_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            sender.send(
                [fix.body(date(fix)) for fix in fixes], [f"row {fix.row}: " for fix in fixes]
            )
            advance(len(fixes))


@contextmanager
def _bar(console: Console, total: int) -> Iterator[Callable[[int], None]]:
    """The progress bar, as something to call with the number of fixes done."""
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("replay", total=total)
        yield lambda count: progress.advance(task, count)


def _report(totals: Totals, rows: int, console: Console) -> None:
    """Each row once: `sent` is all that were judged, here or by the API."""
    line = (
        f"sent {totals.sent}, accepted {totals.accepted}, refused {totals.refused}, "
        f"skipped {totals.skipped}"
    )
    console.print(f"{line}, repeated {totals.retries} bodies" if totals.retries else line)
    if left := rows - totals.sent:
        console.print(f"{left} of {rows} rows were not sent, or not answered")
    for reason in totals.reasons:
        console.print(f"  {reason}", markup=False)
    if (more := totals.refused + totals.skipped - len(totals.reasons)) > 0:
        console.print(f"  and {more} more")
