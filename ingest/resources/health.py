"""`/health`: can fixes be accepted, and does the rest follow. `/health/live`: the process runs.

Probes run together, each under a deadline, and what they found is kept for half a second: a
monitor, a load balancer and a map that ask at once cost one look.
"""

import asyncio
import time
from collections.abc import Sequence

import falcon
import falcon.asgi
import hiredis
import orjson

from common.access.policy import Action
from common.databases.placing import history_groups
from common.errors import Overloaded
from common.redis.wire import Wire
from common.shards import Shard
from ingest.apps.app_counts import AppTotals, read_app_counts
from ingest.http.access import Access
from ingest.intake.backlog import Backlog
from ingest.resources.health_report import ShardHealth, probe, questions, read_shard, report
from ingest.resources.histories import Histories
from ingest.resources.live_positions import LivePositions

# The answer is promised within 1 s whatever is down.
PROBE_TIMEOUT_S = 0.8
KEPT_S = 0.5


class HealthResource:
    """The state of the whole pipeline as ingest sees it."""

    def __init__(
        self,
        live: LivePositions,
        history: Histories,
        backlog: Backlog,
        access: Access,
        *,
        group: str,
    ) -> None:
        self._access = access
        self._live = live
        self._nodes = live.nodes
        self._history = history
        self._backlog = backlog
        self._group = group
        self._lock = asyncio.Lock()
        self._kept: dict[str, object] = {}
        self._kept_until = 0.0

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 while fixes are accepted, else 503. Only an operator is told more than that."""
        state = await self._look()
        if not self._access.may(req, Action.READ_HEALTH):
            state = {"status": state["status"]}
        if state["status"] == "down":
            resp.status = falcon.HTTP_503
            resp.set_header("retry-after", "1")
        resp.data = orjson.dumps(state)

    on_head = on_get

    async def _look(self) -> dict[str, object]:
        async with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = await self._probe()
                self._kept_until = time.monotonic() + KEPT_S
            return self._kept

    async def _probe(self) -> dict[str, object]:
        redis, missing_databases = await asyncio.gather(
            self._probe_redis(), self._probe_databases()
        )
        accepting, shards, apps = redis
        written = self._live.written
        # While the number of shards changes, what waits in those that are left waits, too.
        every, leaving = written.alone, [*(written.older or ())]
        full = self._backlog.capacity.full()
        missing = [shard.index for shard in every if shard not in shards]
        return report(
            accepting=accepting and len(full) < len(every),
            full=len(full) > 0,
            redis_up=len(missing) < len(every),
            missing_databases=missing_databases,
            shards=[shards.get(s) or ShardHealth(s.index) for s in every],
            leaving=[shards.get(s) or ShardHealth(s.index) for s in leaving],
            apps=apps,
            missing=missing,
            unreplicated=self._backlog.unreplicated(),
            servers=self._backlog.servers(),
        )

    async def _probe_databases(self) -> list[int]:
        """The numbers of those that do not answer; each has its own time."""
        return await self._history.missing(PROBE_TIMEOUT_S)

    async def _probe_redis(self) -> tuple[bool, dict[Shard, ShardHealth], AppTotals]:
        """Whether a server would take a fix, the state of each shard whose server answers, and the
        apps' counts.
        """
        by_wire: dict[Wire, list[Shard]] = {}
        for shard in self._live.written.all:
            by_wire.setdefault(self._nodes.wire(shard), []).append(shard)
        looking = asyncio.gather(*map(self._probe_server, by_wire, by_wire.values()))
        looks, apps = await asyncio.gather(looking, self._probe_apps())
        shards = {shard: health for _, states in looks for shard, health in states}
        return any(accepting for accepting, _ in looks), shards, apps

    async def _probe_server(
        self, wire: Wire, shards: Sequence[Shard]
    ) -> tuple[bool, Sequence[tuple[Shard, ShardHealth]]]:
        """Whether it would take a fix, and the state of its shards; none while it is away."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                accepting = await _accepts(wire, shards[0])
                states = await asyncio.gather(*(self._probe_shard(wire, s) for s in shards))
        except (Overloaded, TimeoutError):
            return False, ()
        return accepting, list(zip(shards, states, strict=True))

    async def _probe_apps(self) -> AppTotals:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await read_app_counts(self._nodes)
        except (Overloaded, TimeoutError):
            return {}

    async def _probe_shard(self, wire: Wire, shard: Shard) -> ShardHealth:
        groups = self._groups(shard)
        replies = await wire.pipeline_raw(questions(shard.keys, groups))
        return read_shard(shard.index, groups, replies, time.time_ns() // 1_000_000)

    def _groups(self, shard: Shard) -> tuple[str, ...]:
        written, databases = self._live.written, len(self._history.all)
        older = written.older
        is_older = older is not None and older[shard.index % len(older)] == shard
        count = len(older) if older is not None and is_older else len(written)
        return tuple(g.name for g in history_groups(self._group, shard.index, count, databases))


async def _accepts(wire: Wire, shard: Shard) -> bool:
    try:
        await wire.send(*probe(shard.keys))
    except hiredis.ReplyError:
        return False
    return True


class AliveResource:
    """The process runs; says nothing about what it needs."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        resp.data = b'{"status":"ok"}'

    on_head = on_get
