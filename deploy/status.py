"""`fleetline status`: every process of the running stack, and what waits in each shard.

Processes come from what the supervisors write under the home, shards from Redis itself, and how
long their room lasts from the page of ingest, which alone has watched them for a minute.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis
from rich.console import Console
from rich.table import Table

from common.databases.placing import history_groups
from common.errors import FleetlineError
from common.keys import APP_COUNTS
from common.metrics.names.ingest import OUTAGE_SECONDS, ROOM_SECONDS
from common.processes import process
from common.processes.supervision.spec import State
from common.processes.supervision.state import read_state, state_file
from common.settings import Settings
from common.shards import Shard
from common.stream.backlog import (
    ADDED,
    SETTLED,
    fixes_waiting,
    read_total,
    unread_and_pending,
    unread_entries,
)
from consumers.stream.counts.counts import NAMES
from deploy.database_states import read_databases
from deploy.observe.top_command import addresses, finite, read_all
from deploy.observe.top_view import how_long
from deploy.stack.home import Home
from deploy.tools.stack_database import stack_databases
from deploy.tools.stack_redis import stack_redis
from deploy.tools.stack_shards import stack_shards
from ingest.apps.app_counts import AppTotals, by_app

SUPERVISORS = ("up", "consumers", "fanout", "roads")
TIMEOUT_S = 1.0
# At the present pace, and if nothing were stored from now on.
ROOMS = {"room_s": ROOM_SECONDS, "outage_s": OUTAGE_SECONDS}


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
    # What metrics call it.
    name: str
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
    rooms = read_rooms(settings, shards)
    databases = read_databases(settings)
    if as_json:
        listed = [
            {**shard.shown(), **{name: finite(room[name]) for name in ROOMS}}
            for shard, room in zip(shards, rooms, strict=True)
        ]
        shown = {"processes": processes, "shards": listed, "apps": apps, "databases": databases}
        print(json.dumps(shown))
        return 0
    console = Console(highlight=False, markup=False)
    console.print(_process_table(processes))
    console.print(_shard_table(shards, rooms) if shards else trouble, markup=False)
    for database in databases:
        console.print(f"database {database['database']}: {database['state']}", markup=False)
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
    databases = len(stack_databases(settings))
    found = []
    for layer in (shards, shards.older or ()):
        for shard in layer:
            groups = history_groups(settings.consumer_group, shard.index, len(layer), databases)
            names = [group.name for group in groups]
            found.append(_read_shard(client, shard, names, leaving=layer is not shards))
    return found


def read_rooms(settings: Settings, shards: list[ShardState]) -> list[dict[str, float | None]]:
    """How many seconds the room of each shard lasts (`ROOMS`); None where ingest says nothing."""
    host, ports = addresses(settings)
    page = read_all(host, {"ingest": ports["ingest"]})
    return [
        {name: page.least(metric.name, shard=shard.name) for name, metric in ROOMS.items()}
        for shard in shards
    ]


def read_apps(client: Any) -> AppTotals:
    """What phone apps sent and was not stored as it was sent. Raises what redis-py raises."""
    return by_app(client.hgetall(APP_COUNTS).items())


def _read_shard(client: Any, shard: Shard, groups: Sequence[str], *, leaving: bool) -> ShardState:
    keys = shard.keys
    length, dead = client.xlen(keys.stream), client.xlen(keys.dead)
    totals = client.hmget(keys.counts, NAMES)
    counts = {name: read_total(total) or 0 for name, total in zip(NAMES, totals, strict=True)}
    # Of several groups the one that has most left; fixes are counted of all together.
    waits = [_waiting_entries(client, keys.stream, length, group) for group in groups]
    unread, pending = max(waits, key=sum)
    fixes = fixes_waiting(client.hmget(keys.counts, ADDED, SETTLED), unread + pending)
    waiting = unread_and_pending(fixes, unread, pending)
    return ShardState(shard.index, *waiting, dead, counts, shard.name, leaving)


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


def _shard_table(shards: list[ShardState], rooms: list[dict[str, float | None]]) -> Table:
    table = Table(box=None, header_style="bold")
    for column in (*shards[0].shown(), "room", "outage"):
        table.add_column(column.replace("_", " "), justify="right")
    for shard, room in zip(shards, rooms, strict=True):
        shown = {name: value for name, value in shard.shown().items() if name != "leaving"}
        cells = [f"{'left: ' if shard.leaving else ''}{shard.shard}", *map(str, shown.values())]
        table.add_row(cells[0], *cells[2:], *map(how_long, room.values()))
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
