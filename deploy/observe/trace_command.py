"""`fleetline trace`: where the time of a followed fix went."""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from common.errors import FleetlineError
from common.settings import Settings
from deploy.observe.followed import STEPS, FollowedFix, followed_fixes
from deploy.stack.home import Home

# Fixes shown; more are of a driver that sends for hours.
FIXES_MAX = 50


def run(name: str | None, settings: Settings, logs: Sequence[Path], *, as_json: bool) -> int:
    """Show the fixes that are called `name`, or the newest. Returns 1 when there are none.

    `logs` are files to look in, `-` for the standard input; without any those of the home.
    """
    files = list(logs) or sorted(Home(settings.fleetline_home).path.glob("log/*.log*"))
    fixes = [x for x in followed_fixes(_lines(files)) if name is None or x.is_called(name)]
    if as_json:
        print(json.dumps([_shown(fix) for fix in fixes[-FIXES_MAX:]]))
    elif fixes:
        Console(highlight=False, markup=False).print(_table(fixes[-FIXES_MAX:]))
    else:
        print("no such fix in the logs; TRACE_SAMPLE says how many are followed, in JSON lines")
    return 0 if fixes else 1


def _lines(files: Sequence[Path]) -> Iterator[bytes]:
    for file in files:
        if str(file) == "-":
            yield from sys.stdin.buffer
            continue
        try:
            with file.open("rb") as lines:
                yield from lines
        except OSError as e:
            raise FleetlineError(f"{file}: {e.strerror}") from e


def _shown(fix: FollowedFix) -> dict[str, object]:
    return {
        "trace": fix.trace,
        "driver": fix.driver,
        "message_ids": sorted(fix.ids),
        "received": fix.received.isoformat(),
        "ms": {step: round(ms, 3) for step, ms in fix.steps()},
    }


def _table(fixes: Sequence[FollowedFix]) -> Table:
    table = Table(box=None, header_style="bold", title="milliseconds since the arrival")
    for column in ("trace", "driver", "received", *STEPS[1:]):
        left = column in {"trace", "driver", "received"}
        table.add_column(column, justify="left" if left else "right")
    for fix in fixes:
        times = dict(fix.steps())
        cells = [f"{times[step]:.1f}" if step in times else "" for step in STEPS[1:]]
        table.add_row(fix.trace, fix.driver, f"{fix.received:%H:%M:%S.%f}"[:-3], *cells)
    return table
