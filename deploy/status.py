"""`fleetline status`: every process of the running stack, and what waits in each shard.

Processes come from what the supervisors write under the home, shards from Redis itself.
"""

import json
import time
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import redis
from rich.console import Console
from rich.table import Table

from common.errors import FleetlineError
from common.keys import APP_COUNTS
from common.processes import process
from common.processes.supervision.spec import State
from common.processes.supervision.state import read_state, state_file
from common.settings import Settings
from common.shards import Shard
from common.stream.backlog import (
    ADDED,
    SETTLED,
    fixes_waiting,
    unread_and_pending,
    unread_entries,
)
from consumers.stream.counts.counts import NAMES
from deploy.stack.home import Home
from deploy.tools.stack_redis import stack_redis
from deploy.tools.stack_shards import stack_shards
from ingest.apps.app_counts import AppTotals, by_app

SUPERVISORS = ("up", "consumers", "fanout", "roads")
TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class ShardState:
    """What waits in a shard, in fixes (`common.stream.backlog`). `counts`: what consumers count.

    `leaving`: it is not written any more, since the number of shards changes.
    """

    shard: int
    backlog: int
    pending: int
    dead_letters: int
    counts: dict[str, int]
    leaving: bool = False

    def shown(self) -> dict[str, int]:
        """All of it by name, in the order of the columns."""
        return {
            "shard": self.shard,
            "backlog": self.backlog,
            "pending": self.pending,
            "dead_letters": self.dead_letters,
            **self.counts,
            **({"leaving": True} if self.leaving else {}),
        }


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
        with stack_redis(settings, timeout_s=TIMEOUT_S) as client:
            shards, apps = read_shards(client, settings), read_apps(client)
        trouble = ""
    except FleetlineError as e:
        shards, apps, trouble = [], {}, str(e)
    if as_json:
        listed = [shard.shown() for shard in shards]
        shown = {"processes": processes, "shards": listed, "apps": apps}
        print(json.dumps(shown))
        return 0
    console = Console(highlight=False, markup=False)
    console.print(_process_table(processes))
    console.print(_shard_table(shards) if shards else trouble, markup=False)
    if apps:
        console.print(_app_table(apps))
    return 0


def read_processes(home: Home) -> list[dict[str, Any]]:
    """All children of the supervisors that live, and the workers of ingest."""
    found: list[dict[str, Any]] = []
    for name in SUPERVISORS:
        state = read_state(state_file(home.path, name))
        found += msgspec.to_builtins(state.children) if state is not None else []
    ingest = next((child["pid"] for child in found if child["role"] == "ingest"), None)
    return found + (_ingest_workers(ingest) if ingest is not None else [])


def _ingest_workers(ingest: int) -> list[dict[str, Any]]:
    """Granian keeps them and says nothing of them; how often it did is not known."""
    return [
        {
            "role": f"ingest-{number}",
            "pid": pid,
            "state": State.RUNNING.value,
            "restarts": None,
            "since": process.started_at(pid),
        }
        for number, pid in enumerate(sorted(process.children_of(ingest)))
        if process.is_alive(pid)
    ]


def read_shards(client: Any, settings: Settings) -> list[ShardState]:
    """What waits, and what was counted, in all shards. Raises what redis-py raises."""
    shards = stack_shards(client, settings)
    group = settings.consumer_group
    leaving = [_read_shard(client, shard, group) for shard in shards.older or ()]
    return [
        *(_read_shard(client, shard, group) for shard in shards),
        *(replace(state, leaving=True) for state in leaving),
    ]


def read_apps(client: Any) -> AppTotals:
    """What phone apps sent and was not stored as it was sent. Raises what redis-py raises."""
    return by_app(client.hgetall(APP_COUNTS).items())


def _read_shard(client: Any, shard: Shard, group_name: str) -> ShardState:
    keys = shard.keys
    length, dead = client.xlen(keys.stream), client.xlen(keys.dead)
    totals = client.hmget(keys.counts, NAMES)
    counts = {name: int(total or 0) for name, total in zip(NAMES, totals, strict=True)}
    unread, pending = _waiting_entries(client, keys.stream, length, group_name)
    fixes = fixes_waiting(client.hmget(keys.counts, ADDED, SETTLED), unread + pending)
    return ShardState(shard.index, *unread_and_pending(fixes, unread, pending), dead, counts)


def _waiting_entries(client: Any, stream: str, length: int, group_name: str) -> tuple[int, int]:
    """Entries that the group was not handed, and that it was and has not acknowledged."""
    try:
        groups = client.xinfo_groups(stream)
    except redis.ResponseError:
        # No stream yet: nobody has sent anything.
        return 0, 0
    group = next((g for g in groups if g["name"] == group_name), None)
    if group is None:
        return length, 0
    pending = int(group["pending"])
    return unread_entries(length, group.get("lag"), pending), pending


def _process_table(processes: list[dict[str, Any]]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in ("role", "pid", "state", "restarts", "for"):
        table.add_column(column, justify="left" if column in {"role", "state"} else "right")
    for child in processes:
        restarts = "" if child["restarts"] is None else child["restarts"]
        row = (child["role"], child["pid"] or "", child["state"], restarts)
        table.add_row(*map(str, row), _age(time.time() - child["since"]))
    return table


def _shard_table(shards: list[ShardState]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in shards[-1].shown():
        table.add_column(column.replace("_", " "), justify="right")
    for shard in shards:
        table.add_row(*map(str, shard.shown().values()))
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
