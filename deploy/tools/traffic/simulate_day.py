"""`fleetline simulate --day`: a working day of a fleet until now, sent as fast as it is taken."""

import sys
import time
from datetime import UTC, datetime
from itertools import islice

from rich.console import Console
from rich.progress import Progress

from common.processes.signals import stop_as_interrupt
from deploy.tools.traffic.sender import BODY_FIXES_MAX, Sender, Unreachable
from deploy.tools.traffic.shift import MOVING_EVERY_S, SHIFT_S, STANDING_EVERY_S, day_of_fleet


def run(*, drivers: int, url: str, seed: int, token: str = "") -> int:
    """Send the day. Returns the exit status."""
    console = Console(highlight=False)
    sender = Sender(url, token=token)
    fixes = (fix for _, fix in day_of_fleet(drivers, datetime.now(UTC), seed))
    begin_s, status = time.monotonic(), 0
    # As many as if half of the time is driven; the bar is made right as it goes.
    expected = drivers * SHIFT_S * (1 / MOVING_EVERY_S + 1 / STANDING_EVERY_S) / 2
    try:
        with (
            stop_as_interrupt(),
            Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
        ):
            task = progress.add_task("day", total=expected)
            while body := list(islice(fixes, BODY_FIXES_MAX)):
                sender.send(body)
                progress.advance(task, len(body))
    except KeyboardInterrupt:
        pass
    except Unreachable as e:
        print(f"fleetline: {e}", file=sys.stderr)
        status = 1
    finally:
        sender.close()
    totals, span_s = sender.totals, time.monotonic() - begin_s
    console.print(
        f"a day of {drivers} drivers: sent {totals.sent}, accepted {totals.accepted}, "
        f"refused {totals.refused} in {span_s:.1f} s"
    )
    for reason in totals.reasons:
        console.print(f"  {reason}", markup=False)
    return status or (1 if totals.refused else 0)
