"""What the README shows of a run: Fleetline beside the plain design and the ceiling. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.report.aims import Verdict
from bench.report.readme import RESULTS
from bench.report.result import Figure
from bench.report.table import number, table


@dataclass(frozen=True, slots=True)
class Row:
    """One line: keys of figures, empty where there is nothing to compare with."""

    label: str
    ours: str
    plain: str = ""
    ceiling: str = ""
    # Show the latencies of the figure instead of its value.
    latency: bool = False


ROWS = (
    Row("fixes taken, one a request", "ingest_one.direct", "ingest_one.plain", "ingest_one.empty"),
    Row("fixes taken, 100 a request", "ingest_many.100", "", "ingest_many.xadd"),
    Row("fixes stored and shown by one consumer", "drain.1", "drain.plain", "drain.copy"),
    Row("positions pushed to customers", "fanout.rate", "fanout_plain.rate", "fanout.bare"),
    Row("memory of a customer's socket", "fanout.memory", "fanout_plain.memory"),
    Row("whole path for a minute, one a request", "sustained.one"),
    Row("whole path for a minute, 100 a request", "sustained.many"),
    Row(
        "POST to the customer's socket, 10,000 drivers and watched orders, 2,000 fixes/s",
        "end_to_end.direct.frame",
        latency=True,
    ),
    Row("all stored, after a database outage of 60 s at 2,000 fixes/s", "recovery.database"),
)


def summary(where: str, figures: Mapping[str, Figure], verdicts: Sequence[Verdict]) -> str:
    """The section, without plots. Rows whose scenario was not run are left out."""
    head = ("", "Fleetline", "plain design", "ceiling")
    rows = [
        (
            row.label,
            f"**{_cell(figures[row.ours], row)}**",
            _other(figures.get(row.plain), row),
            _other(figures.get(row.ceiling), row, named=True),
        )
        for row in ROWS
        if row.ours in figures
    ]
    measured = [verdict for verdict in verdicts if verdict.value is not None]
    met = sum(verdict.met is True for verdict in measured)
    outcome = (
        f"{met} of {len(measured)} aims were met. [All figures and aims]({RESULTS}), "
        "[where each microsecond goes, and why an aim is missed](docs/performance.md)."
    )
    return "\n\n".join((where, table(head, rows), outcome))


def _cell(figure: Figure, row: Row) -> str:
    if not row.latency:
        return f"{number(figure.value)} {figure.unit}"
    return f"p50 {number(figure.latency_ms['p50'])}, p99 {number(figure.latency_ms['p99'])} ms"


def _other(figure: Figure | None, row: Row, *, named: bool = False) -> str:
    if figure is None:
        return ""
    return f"{_cell(figure, row)} ({figure.label})" if named else _cell(figure, row)
