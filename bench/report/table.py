"""The result as Markdown. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.report.aims import Verdict
from bench.report.result import Figure, Outcome

# Above this share of the cores, what others do shows in rates and latencies.
OTHERS_SHARE_MAX = 0.05
# Order of the roles in the path of a fix.
ROLES = ("nginx", "ingest", "redis", "consumers", "postgres", "fanout", "plain", "empty", "client")


def report(found: Mapping[str, Any], outcomes: Sequence[Outcome], verdicts: list[Verdict]) -> str:
    """The whole page."""
    parts = [where(found), figures(outcomes), aims(verdicts)]
    if noisy := [o for o in outcomes if o.others_share > OTHERS_SHARE_MAX]:
        shares = ", ".join(f"{o.name} {o.others_share:.0%}" for o in noisy)
        parts.insert(
            1,
            f"**Other processes used the cores meanwhile**: {shares}. "
            "Rates and latencies of these say little; CPU times still do.",
        )
    failed = [f"- {outcome.name}: {outcome.error}" for outcome in outcomes if outcome.error]
    if failed:
        parts.append("Not measured:\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def figures(outcomes: Sequence[Outcome]) -> str:
    """All figures."""
    rows = [
        (
            figure.label,
            f"{number(figure.value)} {figure.unit}",
            _latency(figure),
            _cost(figure),
            "; ".join(figure.notes),
        )
        for outcome in outcomes
        for figure in outcome.figures
    ]
    head = ("what", "result", "p50 / p99 / p99.9 ms", "CPU µs each", "notes")
    return table(head, rows)


def aims(verdicts: Sequence[Verdict]) -> str:
    """The aims, and whether they were met."""
    rows = []
    for verdict in verdicts:
        aim = verdict.aim
        bound = f"{'≤' if aim.most else '≥'} {number(aim.bound)} {aim.unit}"
        value = "-" if verdict.value is None else f"{number(verdict.value)} {aim.unit}"
        rows.append((aim.label, bound, value, verdict.text()))
    return table(("aim", "bound", "measured", ""), rows)


def number(value: float) -> str:
    """Three digits that matter, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def where(found: Mapping[str, Any]) -> str:
    """The day, the machine, and what its figures are good for."""
    machine, versions, config = found["machine"], found["versions"], found["config"]
    kind = "quick run" if config.get("quick") else "full run"
    return (
        f"{found['written_at'][:10]}, {kind}: {machine['cores']} cores ({machine['cpu']}), "
        f"{machine['memory_gb']} GB, Linux {machine['kernel']}, Python {versions['python']}; "
        f"servers and load generator on the same cores; load before {machine['load_before'][0]}. "
        "Ratios within the run are what is claimed; absolute figures are this machine's."
    )


def _latency(figure: Figure) -> str:
    seen = figure.latency_ms
    if not seen:
        return ""
    return " / ".join(number(seen[name]) for name in ("p50", "p99", "p999"))


def _cost(figure: Figure) -> str:
    if not figure.cpu_us:
        return ""
    known = [role for role in ROLES if role in figure.cpu_us]
    others = sorted(set(figure.cpu_us) - set(known))
    # Roles that only idled beside it say nothing.
    parts = [
        f"{role} {number(figure.cpu_us[role])}"
        for role in (*known, *others)
        if figure.cpu_us[role] >= 0.1
    ]
    total = f"**{number(figure.cpu_us_total())}**"
    return f"{total} ({', '.join(parts)})" if len(parts) > 1 else total


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]
    return "\n".join(lines)
