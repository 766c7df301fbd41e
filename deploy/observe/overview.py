"""What `fleetline top` shows, as plain values from two readings. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.metrics.names import consumers, fanout, ingest, insight, process
from deploy.observe.reading import Change, PagesReading

# The same bounds as in deploy/prometheus/alerts.yml, which also waits before it wakes anybody.
LAG_MAX_S = 60.0
ROOM_MIN_S = 1800.0
REPORT_AGE_MAX_S = 10.0
MEMORY_MAX = 0.85

Shown = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is shown; `troubles` is empty when all is well."""

    roles: list[str]
    troubles: list[str]
    flow: Shown
    times_ms: Shown
    stores: Shown
    sockets: Shown
    shards: list[dict[str, Any]]
    processes: list[dict[str, Any]]


def overview_of(change: Change) -> Overview:
    """What two readings say together."""
    return Overview(
        roles=list(change.after.roles),
        troubles=list(_troubles(change)),
        flow=_flow(change),
        times_ms=_times(change),
        stores=_stores(change),
        sockets=_sockets(change),
        shards=[_shard(change, x) for x in change.after.label_values(_LAG, "shard")],
        processes=[_process(change, x) for x in change.after.label_values(_UP, "process")],
    )


_LAG, _UP = ingest.LAG_FIXES.name, process.UP.name
_FIXES = ingest.FIXES.name


def _flow(change: Change) -> Shown:
    fixes = {
        result: change.rate(_FIXES, result=result)
        for result in ("accepted", "invalid", "too_fast", "overloaded")
    }
    return {
        **fixes,
        "on_the_map": change.rate(consumers.LIVE_FIXES.name),
        "stored": change.rate(consumers.STORED_ROWS.name),
        "frames": change.rate(fanout.FRAMES.name),
    }


def _times(change: Change) -> Shown:
    timed = {
        "request": ingest.REQUEST_SECONDS,
        "write": ingest.WRITE_SECONDS,
        "live": consumers.LIVE_AGE,
        "frame": fanout.FRAME_AGE,
        "row": consumers.STORE_AGE,
        "batch": consumers.STORE_SECONDS,
    }
    return {
        f"{name}_p{percent}": _ms(change.quantile(percent / 100, metric.name))
        for name, metric in timed.items()
        for percent in (50, 99)
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _stores(change: Change) -> Shown:
    now = change.after
    return {
        "redis_up": now.least(ingest.REDIS_UP.name),
        "redis_memory_used": memory_share(now),
        "database_up": now.least(consumers.DATABASE_UP.name),
        "dead_letters": now.total(consumers.DEAD_LETTERS_WAITING.name),
        "insight_lag_s": now.most(insight.INSIGHT_LAG.name),
    }


def memory_share(now: PagesReading) -> float | None:
    """How full Redis is, None where it has no limit."""
    used, limit = now.most(ingest.REDIS_MEMORY.name), now.most(ingest.REDIS_MEMORY_LIMIT.name)
    return used / limit if used is not None and limit else None


def _sockets(change: Change) -> Shown:
    now = change.after
    return {
        "open": now.total(fanout.SOCKETS.name),
        "full": now.total(fanout.SOCKETS_FULL.name),
        "most": now.total(fanout.SOCKETS_MAX.name),
        "orders": now.total(fanout.CHANNELS.name),
        "operators": now.total(fanout.OPERATORS.name),
        "conflated": change.rate(fanout.FRAMES_CONFLATED.name),
        "delivering": now.least(fanout.DELIVERING.name),
    }


def _shard(change: Change, shard: str) -> dict[str, Any]:
    now = change.after
    owners = [
        dict(labels)["host"]
        for labels, held in now.samples.get(consumers.SHARD_OWNER.name, {}).items()
        if held and dict(labels)["shard"] == shard
    ]
    return {
        # A shard of a later layout has a name instead (`common.shards`).
        "shard": int(shard) if shard.isdigit() else shard,
        "owner": ", ".join(sorted(owners)),
        "lag_fixes": now.most(_LAG, shard=shard),
        "lag_s": now.most(ingest.LAG_SECONDS.name, shard=shard),
        "room_s": now.least(ingest.ROOM_SECONDS.name, shard=shard),
        "outage_s": now.least(ingest.OUTAGE_SECONDS.name, shard=shard),
        "on_the_map": change.rate(consumers.LIVE_FIXES.name, shard=shard),
        "stored": change.rate(consumers.STORED_ROWS.name, shard=shard),
        "drivers": now.total(consumers.DRIVERS.name, shard=shard),
        "dead_letters": now.total(consumers.DEAD_LETTERS_WAITING.name, shard=shard),
    }


def _process(change: Change, name: str) -> dict[str, Any]:
    now = change.after
    return {
        "process": name,
        "up": now.total(_UP, process=name) == 1,
        "cpu": change.rate(process.CPU.name, process=name),
        "bytes": now.total(process.RESIDENT.name, process=name),
        "restarts": now.total(process.RESTARTS.name, process=name),
        "report_age_s": now.most(process.REPORT_AGE.name, process=name),
    }


def _troubles(change: Change) -> Iterator[str]:
    now = change.after
    if (refused := change.rate(_FIXES, result="overloaded")) > 0:
        yield f"{refused:.0f} fixes a second are answered 503"
    if now.least(ingest.REDIS_UP.name) == 0:
        yield "Redis is away"
    if (share := memory_share(now) or 0) > MEMORY_MAX:
        yield f"Redis uses {share:.0%} of its memory"
    if now.least(consumers.DATABASE_UP.name) == 0:
        yield "the database is away"
    if now.least(fanout.DELIVERING.name) == 0:
        yield "customers are shown old positions: the fan-out does not deliver"
    if letters := now.total(consumers.DEAD_LETTERS_WAITING.name):
        yield f"{letters:.0f} dead letters wait"
    yield from _shard_troubles(change)
    for name in now.label_values(_UP, "process"):
        if now.total(_UP, process=name) == 0:
            yield f"{name} does not run"
        elif (now.most(process.REPORT_AGE.name, process=name) or 0) > REPORT_AGE_MAX_S:
            yield f"{name} hangs"


def _shard_troubles(change: Change) -> Iterator[str]:
    for shard in change.after.label_values(_LAG, "shard"):
        state = _shard(change, shard)
        # Without the consumers' page nothing is known of owners.
        if "consumers" in change.after.roles and not state["owner"]:
            yield f"shard {shard} has no writer"
        if (state["lag_s"] or 0) > LAG_MAX_S:
            yield f"shard {shard} is {state['lag_s']:.0f} s behind"
        if state["room_s"] is not None and state["room_s"] < ROOM_MIN_S:
            yield f"shard {shard} refuses fixes in {state['room_s']:.0f} s"
