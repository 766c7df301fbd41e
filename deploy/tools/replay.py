"""`fleetline replay`: a recorded trace through the HTTP API, at a multiple of its own pace."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from deploy.tools.sender import Sender, Totals, Unreachable
from deploy.tools.trace import Fix, Trace, read_trace

# Fixes a body at full speed: large enough to be quick, small enough for a bar that moves.
BODY_FIXES = 500


def end_of(now: datetime, duration_s: float, speed: float) -> datetime:
    """The time that the trace's newest fix gets, so that no fix is dated after its sending.

    At full speed that is now. At a pace the newest is sent when the replay ends, and is dated so;
    slower than the trace itself, dates run ahead of no clock either.
    """
    if speed == 0:
        return now
    return now + timedelta(seconds=duration_s / max(speed, 1.0))


def bodies(trace: Trace, speed: float) -> Iterator[tuple[float, list[Fix]]]:
    """(seconds after the start, fixes) in file order. A late row goes with the one before it."""
    if speed == 0:
        for first in range(0, len(trace.fixes), BODY_FIXES):
            yield 0.0, list(trace.fixes[first : first + BODY_FIXES])
        return
    oldest = min(fix.recorded_at for fix in trace.fixes)
    due_s, waiting = 0.0, list[Fix]()
    for fix in trace.fixes:
        at_s = max(due_s, (fix.recorded_at - oldest).total_seconds() / speed)
        if waiting and (at_s > due_s or len(waiting) == BODY_FIXES):
            yield due_s, waiting
            waiting = []
        due_s = at_s
        waiting.append(fix)
    yield due_s, waiting


def run(file: Path, *, speed: float, url: str, columns: str = "", token: str = "") -> int:
    """Replay `file`. Returns the exit status: 0 when every row was accepted."""
    trace = read_trace(file, columns)
    console = Console(highlight=False)
    sender = Sender(url, token=token)
    sender.totals.refuse(len(trace.refused), trace.refused)
    status = 0
    try:
        if trace.fixes:
            _send(trace, speed, sender, console)
    except Unreachable as e:
        Console(stderr=True, highlight=False).print(f"fleetline: {e}", markup=False, soft_wrap=True)
        status = 1
    except KeyboardInterrupt:
        console.print("interrupted")
        status = 130
    finally:
        sender.close()
    _report(sender.totals, console)
    return status or (1 if sender.totals.refused else 0)


def _send(trace: Trace, speed: float, sender: Sender, console: Console) -> None:
    shift = end_of(datetime.now(UTC), trace.duration_s(), speed) - trace.newest()
    begin_s = time.monotonic()
    with _bar(console, len(trace.fixes)) as advance:
        for due_s, fixes in bodies(trace, speed):
            wait_s = begin_s + due_s - time.monotonic()
            if wait_s > 0:
                time.sleep(wait_s)
            sender.send([fix.body(shift) for fix in fixes])
            advance(len(fixes))


class _bar:  # noqa: N801 - reads as the function it stands for
    """The progress bar, as something to call with the number of fixes done."""

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            TextColumn("replay"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("replay", total=total)

    def __enter__(self) -> Callable[[int], None]:
        self._progress.start()
        return lambda count: self._progress.advance(self._task, count)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def _report(totals: Totals, console: Console) -> None:
    line = f"sent {totals.sent}, accepted {totals.accepted}, refused {totals.refused}"
    console.print(f"{line}, repeated {totals.retries} bodies" if totals.retries else line)
    for reason in totals.reasons:
        console.print(f"  {reason}", markup=False)
