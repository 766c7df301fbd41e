"""`/health`: can fixes be accepted, and does the rest follow. `/health/live`: the process runs.

Probes run together, each under a deadline, and what they found is kept for half a second: a
monitor, a load balancer and a map that ask at once cost one look.
"""

import asyncio
import time

import falcon
import falcon.asgi
import hiredis
import orjson

from common.access.policy import Action
from common.errors import Overloaded
from common.redis.nodes import Nodes
from common.redis.wire import Wire
from common.shards import Shard, Shards
from ingest.apps.app_counts import AppTotals, read_app_counts
from ingest.http.access import Access
from ingest.intake.capacity import Capacity
from ingest.resources.health_report import PROBE, ShardHealth, questions, read_shard, report
from ingest.resources.history import History

# The answer is promised within 1 s whatever is down.
PROBE_TIMEOUT_S = 0.8
KEPT_S = 0.5


class HealthResource:
    """The state of the whole pipeline as ingest sees it."""

    def __init__(
        self,
        nodes: Nodes,
        shards: Shards,
        history: History,
        capacity: Capacity,
        access: Access,
        *,
        group: str,
    ) -> None:
        self._access = access
        self._nodes = nodes
        self._shards = shards
        self._history = history
        self._capacity = capacity
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
        redis, database_up = await asyncio.gather(self._probe_redis(), self._probe_database())
        redis_up, accepting, shards, apps = redis
        full = self._capacity.full()
        return report(
            accepting=accepting and len(full) < len(self._shards),
            full=len(full) > 0,
            redis_up=redis_up,
            database_up=database_up,
            shards=shards,
            apps=apps,
        )

    async def _probe_database(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await self._history.answers()
        except TimeoutError:
            return False

    async def _probe_redis(self) -> tuple[bool, bool, list[ShardHealth], AppTotals]:
        """Whether Redis answers and would take a fix, the state of each shard, the apps' counts."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                accepting = await asyncio.gather(*map(_accepts, self._nodes.wires))
                shards = await asyncio.gather(*map(self._probe_shard, self._shards))
                apps = await read_app_counts(self._nodes.wires[0])
        except (Overloaded, TimeoutError):
            return False, False, [ShardHealth(shard.index) for shard in self._shards], {}
        return True, any(accepting), shards, apps

    async def _probe_shard(self, shard: Shard) -> ShardHealth:
        replies = await self._nodes.wire(shard).pipeline_raw(questions(shard.keys, self._group))
        return read_shard(shard.index, self._group, replies, time.time_ns() // 1_000_000)


async def _accepts(wire: Wire) -> bool:
    try:
        await wire.send(*PROBE)
    except hiredis.ReplyError:
        return False
    return True


class AliveResource:
    """The process runs; says nothing about what it needs."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        resp.data = b'{"status":"ok"}'

    on_head = on_get
