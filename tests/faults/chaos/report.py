"""The table that a round of chaos ends with."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from tests.faults.chaos.load import Load
from tests.faults.chaos.memory import Memories
from tests.faults.chaos.service import Waited, refused_for_s
from tests.faults.chaos.verdict import Verdict
from tests.faults.chaos.watchers import Seen

MB = 1_048_576
# Late answers in the table: enough to find what was done to ingest then. And gaps.
LATE_SHOWN = 12
GAPS_SHOWN = 5
LAWS = (
    "lost",
    "doubled",
    "invented",
    "poison lost",
    "poison doubled",
    "dead-lettered though good",
    "live is not the newest",
    "frames went back in time",
    "live did not come back",
    "live stood still",
    "refused too late",
    "refused for nothing",
    "not ready",
    "memory grew",
    "misjudged",
    "odd answer",
    "not quiet",
    "outlived the stack",
)


@dataclass(frozen=True, slots=True)
class Round:
    """What happened in a round."""

    seed: int
    load: Load
    seen: Sequence[Seen]
    done: Counter[str]
    memories: Memories
    verdict: Verdict
    waited: Waited
    quiet_s: float
    # In which nothing explains a customer of shard 0 who sees nothing.
    undisturbed_s: float

    @property
    def taken_after(self) -> list[str]:
        """How long after each loss of a cluster's primary its fixes were refused."""
        windows, refusals = self.waited.windows, self.waited.refusals
        lost = [w for w in windows if w.target == "redis" and w.slots is not None]
        return [f"{refused_for_s(window, refusals, windows):.1f} s" for window in lost]


def print_report(finished: Round) -> None:
    """Print it."""
    console = Console(highlight=False, width=100)
    verdict, load = finished.verdict, finished.load
    worst = max(finished.seen, key=lambda seen: max(seen.gaps, default=(0.0, 0.0)))
    longest = sorted(worst.gaps)[: -GAPS_SHOWN - 1 : -1]
    gaps = [f"{gap_s:.1f} s at {from_s:.0f} s" for gap_s, from_s in longest]
    late = [f"{took_s:.1f} s at {at_s:.0f} s" for took_s, at_s, _ in sorted(load.late)[::-1]]
    table = Table(title=f"chaos, seed {finished.seed}", box=None, show_header=False)
    for what, count in sorted(finished.done.items()):
        table.add_row(what, str(count))
    table.add_section()
    rows: list[tuple[str, object]] = [
        ("fixes sent", verdict.sent),
        ("accepted (202)", verdict.accepted),
        ("refused (422)", verdict.refused),
        ("outcome unknown", verdict.unknown),
        ("stored", verdict.stored),
        ("dead-lettered", verdict.dead_lettered),
        ("drivers with a live position", verdict.drivers),
        ("answers", ", ".join(f"{n} x {s}" for s, n in sorted(load.statuses.items()))),
        ("longest 202", f"{load.longest_202_s:.2f} s"),
        ("longest 503", f"{load.longest_503_s:.2f} s"),
        ("answers after more than 2 s", f"{len(late)}: {', '.join(late[:LATE_SHOWN])}"),
        ("a lost primary's fixes taken after", ", ".join(finished.taken_after)),
        ("live frames seen", sum(seen.frames for seen in finished.seen)),
        ("longest gaps in live frames", ", ".join(gaps)),
        ("longest from taken to shown", f"{max(seen.lag_s for seen in finished.seen):.2f} s"),
        ("time that no fault covers", f"{finished.undisturbed_s:.0f} s"),
        ("quiet after the load", f"{finished.quiet_s:.1f} s"),
    ]
    for name, value in rows:
        table.add_row(name, str(value))
    table.add_section()
    for law in LAWS:
        table.add_row(law, str(verdict.counts[law]))
    console.print(table)
    memory = Table(title="memory, MB", box=None)
    for column in ("role", "before", "peak", "after"):
        memory.add_column(column, justify="right" if column != "role" else "left")
    for role, found in finished.memories.by_role.items():
        cells = (f"{value / MB:.0f}" for value in (found.before, found.peak, found.after))
        memory.add_row(role, *cells)
    console.print(memory)
    for law, examples in verdict.violations.items():
        for example in examples:
            console.print(f"{law}: {example}", markup=False)
    console.print("the law held" if not verdict.violations else "THE LAW WAS BROKEN")
