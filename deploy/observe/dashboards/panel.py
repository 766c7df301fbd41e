"""What a dashboard is made of. Pure data."""

from dataclasses import dataclass
from enum import StrEnum


class Look(StrEnum):
    """How a panel is drawn."""

    LINES = "lines"
    # One number a series: green until `limit`, red from there on.
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL expression, and how its series are called (labels in double braces)."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `says`: what a reader is to see in it; `limit`: from where on it is bad."""

    title: str
    says: str
    queries: tuple[Query, ...]
    unit: str = "short"
    look: Look = Look.LINES
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard: rows of panels, each row with its title."""

    name: str
    title: str
    says: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]


def lines(title: str, says: str, *queries: tuple[str, str], unit: str = "short") -> Panel:
    """A panel of lines; `queries` are expressions with their legends."""
    return Panel(title, says, tuple(Query(*query) for query in queries), unit)


def number(title: str, says: str, expr: str, *, unit: str = "short", limit: float) -> Panel:
    """A panel of one number that turns red from `limit` on."""
    return Panel(title, says, (Query(expr),), unit, Look.NUMBER, limit)


def rate(metric: str, by: str = "", where: str = "") -> str:
    """PromQL: how fast a counter grows, a second."""
    return f"sum{by and f' by ({by}) '}(rate({metric}{where and f'{{{where}}}'}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", where: str = "") -> str:
    """PromQL: the value below which `share` of all lie, of a histogram."""
    labels = ", ".join(filter(None, ("le", by)))
    chosen = where and f"{{{where}}}"
    buckets = f"rate({metric}_bucket{chosen}[$__rate_interval])"
    return f"histogram_quantile({share}, sum by ({labels}) ({buckets}))"


def percentiles(metric: str, where: str = "") -> tuple[tuple[str, str], ...]:
    """Queries for the median and two high percentiles of a histogram."""
    return tuple(
        (quantile(share, metric, where=where), name)
        for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
    )
