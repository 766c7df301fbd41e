"""`fleetline status`: every process of the running stack, and what waits in each shard.

Processes come from what the supervisors write under the home, shards from Redis itself.
"""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rich.console import Console
from rich.table import Table

from common.keys import APP_COUNTS, META, shard_keys
from common.processes.state import read_state, state_file
from common.settings import Settings
from consumers.stream.counts import NAMES
from deploy.home import Home
from deploy.wiring import redis_url
from ingest.apps.counts import AppTotals, by_app

SUPERVISORS = ("up", "consumers")
TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class ShardState:
    """What waits in a shard; None where Redis cannot say. The last three: `counts.NAMES`."""

    shard: int
    backlog: int | None
    pending: int | None
    dead_letters: int | None
    conflicts: int
    groups_lost: int
    entries_lost: int


def run(settings: Settings, *, as_json: bool) -> int:
    """Print the state. Returns 0 when something runs, 1 when nothing does."""
    home = Home(settings.fleetline_home)
    home.noted()
    processes = read_processes(home)
    if not processes:
        line = f"nothing runs in {home.path}"
        print(json.dumps({"processes": [], "shards": []}) if as_json else line)
        return 1
    try:
        url = _redis_url(home, settings)
        shards, apps = read_shards(url, settings), read_apps(url)
        trouble = ""
    except (redis.RedisError, OSError) as e:
        shards, apps, trouble = [], {}, f"Redis does not answer: {e}"
    if as_json:
        listed = [asdict(shard) for shard in shards]
        shown = {"processes": processes, "shards": listed, "apps": apps}
        print(json.dumps(shown))
        return 0
    console = Console(highlight=False)
    console.print(_process_table(processes))
    console.print(_shard_table(shards) if shards else trouble, markup=False)
    if apps:
        console.print(_app_table(apps))
    return 0


def _redis_url(home: Home, settings: Settings) -> str:
    """The given one, or the one that the stack in this home was started with."""
    if settings.given("redis_url"):
        return settings.redis_url
    return home.noted().get("redis_url") or redis_url(settings)


def read_processes(home: Home) -> list[dict[str, Any]]:
    """All children of the supervisors that live."""
    found: list[dict[str, Any]] = []
    for name in SUPERVISORS:
        state = read_state(state_file(home.path, name))
        children = state.get("children") if state is not None else None
        if isinstance(children, list):
            found += children
    return found


def read_shards(url: str, settings: Settings) -> list[ShardState]:
    """What waits, and what was counted, in all shards. Raises what redis-py raises."""
    with _connect(url) as client:
        count = int(str(client.hget(META, "shards") or settings.shards))
        return [_read_shard(client, settings, shard) for shard in range(count)]


def read_apps(url: str) -> AppTotals:
    """What phone apps sent and was not stored as it was sent. Raises what redis-py raises."""
    with _connect(url) as client:
        return by_app(client.hgetall(APP_COUNTS).items())


def _connect(url: str) -> Any:
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),
    )


def _read_shard(client: Any, settings: Settings, shard: int) -> ShardState:
    keys = shard_keys(settings.stream_name, shard)
    length, dead = client.xlen(keys.stream), client.xlen(keys.dead)
    found = client.hmget(keys.counts, NAMES)
    counts = {name: int(count or 0) for name, count in zip(NAMES, found, strict=True)}
    try:
        groups = client.xinfo_groups(keys.stream)
    except redis.ResponseError:
        # No stream yet: nobody has sent anything.
        return ShardState(shard, 0, 0, dead, **counts)
    group = next((g for g in groups if g["name"] == settings.consumer_group), None)
    if group is None:
        return ShardState(shard, length, 0, dead, **counts)
    pending = int(group["pending"])
    # Redis forgets the lag when entries are deleted out of order; then an upper bound will do.
    lag = group.get("lag")
    backlog = max(0, length - pending) if lag is None else int(lag)
    return ShardState(shard, backlog, pending, dead, **counts)


def _process_table(processes: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("role", "pid", "state", "restarts", "for"):
        table.add_column(column, justify="left" if column in {"role", "state"} else "right")
    for child in processes:
        row = (child["role"], child["pid"] or "", child["state"], child["restarts"])
        table.add_row(*map(str, row), _age(time.time() - child["since"]))
    return table


def _shard_table(shards: list[ShardState]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in asdict(shards[0]):
        table.add_column(column.replace("_", " "), justify="right")
    for shard in shards:
        table.add_row(*map(str, asdict(shard).values()))
    return table


def _app_table(apps: AppTotals) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("app", "not stored as sent", "items"):
        table.add_column(column, justify="right" if column == "items" else "left")
    for app, counts in apps.items():
        for reason, count in counts.items():
            table.add_row(app, reason, str(count))
    return table


def _age(seconds: float) -> str:
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
