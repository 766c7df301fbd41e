"""How much of everything a fleet needs, by what a run of the bench measured. Pure.

A part's cost for one fix, times the fixes, divided by the share of a core that is planned to be
used. That is right as far as parts share nothing: shards, primaries, databases and sockets do not;
and it promises nothing of a machine, a network or a disk that was not there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bench.report.result import Figure
from common.stream.memory import RESERVE_SHARE

Figures = Mapping[str, Figure]

# A driver sends this often.
FIX_EVERY_S = 5.0
# Headroom: of a core, a Redis and a database, at most this share of what was measured is planned.
# The rest is for peaks, for a host that is lost, and for catching up after an outage.
USED_SHARE = 0.7
# One order in so many is watched, by one customer.
WATCHED_ONE_IN = 3
# Sockets of one process of the fan-out (FANOUT_CONNECTIONS_MAX).
SOCKETS_MAX = 20_000
# Shards of one machine, and the fewest of several: a shard is what moves.
SHARDS_ONE, SHARDS_SEVERAL = 4, 16
DAY_S, HOUR_S = 86_400, 3_600
# Servers beyond those that are enough, so that each has as many shards. One more is taken to be as
# dear as four shards more.
MORE_SERVERS = 1.3
SHARDS_A_SERVER = 4

# What was measured of stores: how much one database took, and at how many shards.
STORED = ("drain.1", "drain.2", "drain.4", "drain.8")
# Figures without which nothing is computed.
NEEDED = (
    "sustained.one", "ingest_many.10", "ingest_one.nginx", "one_redis.through", "fanout.rate",
    "fanout.memory", "history.row", "waiting.single", "waiting.packs", "waiting.driver",
    "end_to_end.direct.frame", *STORED,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class MessageBytes:
    """Bytes on the wire of one request with a fix, and of one frame to a customer."""

    request: int
    frame: int


@dataclass(frozen=True, slots=True)
class FleetSize:
    """What a fleet needs. Cores are whole and parts of cores; bytes are bytes."""

    drivers: int
    fixes_s: float
    ingest_one_cores: float
    ingest_ten_cores: float
    door_cores: float
    primaries: int
    shards: int
    consumer_cores: float
    databases: int
    database_cores: float
    sockets: int
    fanout_cores: float
    fanout_processes: int
    fanout_bytes: float
    history_day_bytes: float
    live_bytes: float
    hour_single_bytes: float
    hour_packs_bytes: float
    # maxmemory of each primary, for an hour without a database.
    primary_bytes: float
    log_bytes_s: float
    in_bytes_s: float
    out_bytes_s: float
    # Roles of which the run may not hold a figure.
    insight_cores: float | None
    places_cores: float | None
    arrivals_cores: float | None


def missing(figures: Figures) -> list[str]:
    """Keys of figures that are needed and not there."""
    return [key for key in NEEDED if key not in figures]


def redis_fixes_s(figures: Figures) -> float:
    """Fixes a second of one Redis: what it reached alone, and what it would by its CPU when each
    fix came by itself; the lesser, and of that the share that is planned.
    """
    alone, whole = figures["one_redis.through"].value, figures["sustained.one"].cpu_us["redis"]
    shown = figures["fanout.rate"].cpu_us["redis"] / WATCHED_ONE_IN
    return min(alone, 1e6 / (whole + shown)) * USED_SHARE


def database_fixes_s(figures: Figures) -> float:
    """Fixes a second of one database: the most that was ever stored in one, and its share."""
    return max(figures[key].value for key in STORED) * USED_SHARE


def size(figures: Figures, drivers: int, message: MessageBytes) -> FleetSize:
    """What a fleet of so many drivers needs. Raises `KeyError` for a figure that is `missing`."""
    fixes_s = drivers / FIX_EVERY_S
    frames_s, sockets = fixes_s / WATCHED_ONE_IN, math.ceil(drivers / WATCHED_ONE_IN)
    whole = figures["sustained.one"]
    consumer_cores = _cores(fixes_s, whole.cpu_us["consumers"])
    primaries, shards, databases = layout_for(
        math.ceil(fixes_s / redis_fixes_s(figures)),
        math.ceil(fixes_s / database_fixes_s(figures)),
        consumer_cores,
    )
    fanout_cores = _cores(frames_s, figures["fanout.rate"].cpu_us["fanout"])
    live = drivers * figures["waiting.driver"].value
    hour = {kind: fixes_s * HOUR_S * figures[f"waiting.{kind}"].value for kind in _KINDS}
    return FleetSize(
        drivers=drivers,
        fixes_s=fixes_s,
        ingest_one_cores=_cores(fixes_s, whole.cpu_us["ingest"]),
        ingest_ten_cores=_cores(fixes_s, figures["ingest_many.10"].cpu_us["ingest"]),
        door_cores=_cores(fixes_s, figures["ingest_one.nginx"].cpu_us["nginx"]),
        primaries=primaries,
        shards=shards,
        consumer_cores=consumer_cores,
        databases=databases,
        database_cores=_cores(fixes_s, whole.cpu_us["postgres"]),
        sockets=sockets,
        fanout_cores=fanout_cores,
        fanout_processes=max(math.ceil(fanout_cores), math.ceil(sockets / SOCKETS_MAX)),
        fanout_bytes=sockets * figures["fanout.memory"].value * 1024,
        history_day_bytes=fixes_s * DAY_S * figures["history.row"].value,
        live_bytes=live,
        hour_single_bytes=hour["single"],
        hour_packs_bytes=hour["packs"],
        primary_bytes=(live + hour["single"]) / primaries / (1 - RESERVE_SHARE),
        log_bytes_s=fixes_s * float(whole.totals["log_bytes_a_fix"]),
        in_bytes_s=fixes_s * message.request,
        out_bytes_s=frames_s * message.frame,
        insight_cores=_measured_cores(figures, "insight.follow", fixes_s / _FOLLOWED_S),
        places_cores=_places_cores(figures, fixes_s),
        arrivals_cores=_measured_cores(figures, "arrivals.cpu", sockets / _ORDERS),
    )


_KINDS = ("single", "packs")
# What "% of a core" of these two figures is of: fixes a second, and active orders.
_FOLLOWED_S, _ORDERS = 2000.0, 2000.0


def layout_for(primaries: int, databases: int, consumer_cores: float) -> tuple[int, int, int]:
    """Primaries, shards and databases: each primary and each database has as many shards, and each
    process of the consumers has one. `primaries`, `databases`: how many are enough. A few more of
    them are better than many more shards, or such as are cut in two.
    """
    alone = primaries == 1 and consumer_cores <= SHARDS_ONE
    least = max(SHARDS_ONE if alone else SHARDS_SEVERAL, consumer_cores, databases)
    layouts = (
        (some_primaries, math.ceil(least / step) * step, some_databases)
        for some_primaries in _a_few_more(primaries)
        for some_databases in _a_few_more(databases)
        for step in (math.lcm(some_primaries, some_databases),)
    )
    return min(layouts, key=lambda found: found[1] + SHARDS_A_SERVER * (found[0] + found[2]))


def _a_few_more(enough: int) -> range:
    # One and two stay as they are: a second server is another way to run it.
    most = enough if enough <= 2 else math.ceil(enough * MORE_SERVERS)
    return range(enough, most + 1)


def _cores(a_second: float, cost_us: float) -> float:
    return a_second * cost_us / 1e6 / USED_SHARE


def _measured_cores(figures: Figures, key: str, times: float) -> float | None:
    figure = figures.get(key)
    return None if figure is None else figure.value / 100 * times / USED_SHARE


def _places_cores(figures: Figures, fixes_s: float) -> float | None:
    figure = figures.get("geofences.50")
    return None if figure is None else _cores(fixes_s, figure.value)
