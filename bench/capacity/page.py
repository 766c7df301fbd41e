"""The sizes as Markdown, each row with the figure it comes from. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from bench.capacity.sizing import (
    FIX_EVERY_S,
    SOCKETS_MAX,
    USED_SHARE,
    WATCHED_ONE_IN,
    Figures,
    FleetSize,
    MessageBytes,
    database_fixes_s,
    redis_fixes_s,
    size,
)
from bench.report.table import OTHERS_SHARE_MAX, number, table, where

SIZES = (10_000, 1_000_000, 10_000_000)
BEGIN, END = "<!-- capacity:begin -->", "<!-- capacity:end -->"

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")


class _Row(NamedTuple):
    label: str
    cell: Callable[[FleetSize], str]
    source: str


def page(found: Mapping[str, Any], figures: Figures, message: MessageBytes) -> str:
    """What stands between the marks."""
    sizes = [size(figures, drivers, message) for drivers in SIZES]
    head = ("", *(f"{drivers:,} drivers" for drivers in SIZES), "computed from")
    rows = [
        (row.label, *map(row.cell, sizes), row.source)
        for row in _rows(figures, message)
        if "" not in map(row.cell, sizes)
    ]
    parts = (_assumed(found), _noise(found), table(head, rows), _measured(figures, sizes))
    return "\n\n".join(filter(None, parts))


def put(text: str, section: str) -> str:
    """`text` with `section` between its marks. Raises `ValueError` where it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"there is no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n{section.strip()}\n{END}{after}"


def amount(size_bytes: float) -> str:
    """Bytes with two digits that matter, in units of 1,000."""
    unit = 0
    while size_bytes >= 999.5 and unit < len(_UNITS) - 1:
        size_bytes, unit = size_bytes / 1000, unit + 1
    digits = f"{size_bytes:.1f}" if size_bytes < 10 and unit else f"{size_bytes:.0f}"
    return f"{digits} {_UNITS[unit]}"


def cores(value: float | None) -> str:
    """Whole cores from ten on, rounded up; empty where nothing was measured."""
    if value is None:
        return ""
    # What floats add to a whole number is no further core.
    return f"{math.ceil(round(value, 6)):,}" if value >= 10 else f"{max(0.1, value):.1f}"


def _assumed(found: Mapping[str, Any]) -> str:
    return (
        f"Assumed: each driver sends a fix every {FIX_EVERY_S:g} s, one a request, and has an "
        f"order; one order in {WATCHED_ONE_IN} is watched by one customer. Of what a core, a "
        f"Redis or a database reached in the run, {USED_SHARE:.0%} are planned.\n\n"
        f"The run: {where(found)}"
    )


def _noise(found: Mapping[str, Any]) -> str:
    """A word where others used the cores: then rates are too low, and what they say too much."""
    noisy = [s["name"] for s in found["scenarios"] if s["others_share"] > OTHERS_SHARE_MAX]
    if not noisy:
        return ""
    return (
        f"Other processes used the cores in {', '.join(noisy)}: what is computed from a rate "
        "there (primaries, databases) is more than is needed."
    )


def _rows(figures: Figures, message: MessageBytes) -> Sequence[_Row]:
    def cost(key: str, role: str) -> str:
        return f"{number(figures[key].cpu_us[role])} µs of {role}, `{key}`"

    def value(key: str, unit: str = "") -> str:
        return f"{number(figures[key].value)} {unit or figures[key].unit}, `{key}`"

    redis, stored = redis_fixes_s(figures), database_fixes_s(figures)
    through = figures["one_redis.through"]
    optional = {key: value(key) for key in _ROLES if key in figures}
    log_bytes = float(figures["sustained.one"].totals["log_bytes_a_fix"])
    return (
        _Row("fixes a second", lambda s: f"{s.fixes_s:,.0f}", f"one each {FIX_EVERY_S:g} s"),
        _Row("ingest, one fix a request: cores", lambda s: cores(s.ingest_one_cores),
             cost("sustained.one", "ingest")),
        _Row("ingest, ten fixes a request: cores", lambda s: cores(s.ingest_ten_cores),
             cost("ingest_many.10", "ingest")),
        _Row("front door (nginx, no TLS): cores", lambda s: cores(s.door_cores),
             cost("ingest_one.nginx", "nginx")),
        _Row("Redis primaries, each with a replica", lambda s: f"{s.primaries:,}",
             f"{redis:,.0f} fixes/s each: `one_redis.through` {number(through.value)}, and "
             + cost("sustained.one", "redis")),
        _Row("`SHARDS`", lambda s: f"{s.shards:,}", "consumers' cores, a multiple of primaries"),
        _Row("consumers: cores", lambda s: cores(s.consumer_cores),
             cost("sustained.one", "consumers")),
        _Row("fan-out: sockets", lambda s: f"{s.sockets:,}", f"one order in {WATCHED_ONE_IN}"),
        _Row("fan-out: cores", lambda s: cores(s.fanout_cores), cost("fanout.rate", "fanout")),
        _Row("fan-out: processes", lambda s: f"{s.fanout_processes:,}",
             f"`FANOUT_CONNECTIONS_MAX` {SOCKETS_MAX:,}"),
        _Row("fan-out: memory of sockets", lambda s: amount(s.fanout_bytes),
             value("fanout.memory")),
        _Row("databases", lambda s: f"{s.databases:,}",
             f"{stored:,.0f} fixes/s each: the most of `drain.1` to `drain.8`; a part of `SHARDS`"),
        _Row("databases: cores to store", lambda s: cores(s.database_cores),
             cost("sustained.one", "postgres")),
        _Row("history a day, as plain tables", lambda s: amount(s.history_day_bytes),
             value("history.row")),
        _Row("live positions and orders in Redis", lambda s: amount(s.live_bytes),
             value("waiting.driver")),
        _Row("an hour's backlog in Redis, one fix an entry", lambda s: amount(s.hour_single_bytes),
             value("waiting.single")),
        _Row("the same in packs", lambda s: amount(s.hour_packs_bytes), value("waiting.packs")),
        _Row("`maxmemory` of each primary for that hour", lambda s: amount(s.primary_bytes),
             "both, one fix an entry, and a tenth that is kept free"),
        _Row("written by all Redis, and sent to replicas", lambda s: f"{amount(s.log_bytes_s)}/s",
             f"{log_bytes:.0f} bytes of log, `sustained.one`"),
        _Row("network: requests with fixes", lambda s: f"{amount(s.in_bytes_s)}/s",
             f"{message.request} bytes, without TCP and TLS"),
        _Row("network: frames to customers", lambda s: f"{amount(s.out_bytes_s)}/s",
             f"{message.frame} bytes, without TCP and TLS"),
        _Row("trips and statistics: cores", lambda s: cores(s.insight_cores),
             optional.get("insight.follow", "")),
        _Row("geofences and order states: cores", lambda s: cores(s.places_cores),
             optional.get("geofences.50", "")),
        _Row("arrivals of the watched orders: cores", lambda s: cores(s.arrivals_cores),
             optional.get("arrivals.cpu", "") + " (one process serves all)"),
    )  # fmt: skip


_ROLES = ("insight.follow", "geofences.50", "arrivals.cpu")


def _measured(figures: Figures, sizes: Sequence[FleetSize]) -> str:
    """Which of the columns is a measurement, and how far away the others are."""
    whole, frames = figures["sustained.one"], figures["end_to_end.direct.frame"]
    cpu = figures.get("end_to_end.direct.ingest")
    together = ""
    if cpu is not None:
        used = cpu.value * cpu.cpu_us_total() / 1e6
        together = f", with {number(used)} cores for all roles"
    measured = (
        f"Measured as a whole: up to {number(whole.value)} fixes/s on one machine "
        f"(`sustained.one`). 2,000 fixes/s of 10,000 drivers were shown after p50 "
        f"{number(frames.latency_ms['p50'])}, p99 {number(frames.latency_ms['p99'])} ms"
        f"{together}: at a low rate a fix costs more, since fewer share a write."
    )
    beyond = [
        f"Extrapolated: {each.drivers:,} drivers are {each.fixes_s / whole.value:,.0f} times that "
        "rate. What a fix cost each part there is multiplied."
        for each in sizes
        if each.fixes_s > whole.value
    ]
    return "\n".join(f"- {line}" for line in (measured, *beyond))
