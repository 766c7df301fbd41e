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
from common.keys import shard_keys
from common.redis.wire import Wire
from ingest.http.access import Access
from ingest.intake.backlog import Rooms
from ingest.resources.health_report import PROBE, ShardHealth, questions, read_shard, report
from ingest.resources.history import History

# The answer is promised within 1 s whatever is down.
PROBE_TIMEOUT_S = 0.8
KEPT_S = 0.5


class Health:
    """The state of the whole pipeline as ingest sees it."""

    def __init__(
        self,
        wire: Wire,
        history: History,
        rooms: Rooms,
        *,
        stream_name: str,
        group: str,
        shards: int,
        access: Access,
    ) -> None:
        self._access = access
        self._wire = wire
        self._history = history
        self._rooms = rooms
        self._group = group
        self._keys = [shard_keys(stream_name, shard) for shard in range(shards)]
        self._lock = asyncio.Lock()
        self._kept: dict[str, object] = {}
        self._kept_until = 0.0

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """200 while fixes are accepted, else 503. Who is no operator learns no more than that."""
        found = await self._look()
        if not self._access.may(req, Action.READ_HEALTH):
            found = {"status": found["status"]}
        if found["status"] == "down":
            resp.status = falcon.HTTP_503
            resp.set_header("retry-after", "1")
        resp.set_header("cache-control", "no-store")
        resp.data = orjson.dumps(found)

    on_head = on_get

    async def _look(self) -> dict[str, object]:
        async with self._lock:
            if time.monotonic() >= self._kept_until:
                self._kept = await self._probe()
                self._kept_until = time.monotonic() + KEPT_S
            return self._kept

    async def _probe(self) -> dict[str, object]:
        redis, database_up = await asyncio.gather(self._probe_redis(), self._probe_database())
        redis_up, accepting, shards = redis
        full = self._rooms.full()
        return report(
            accepting=accepting and len(full) < len(self._keys),
            full=len(full) > 0,
            redis_up=redis_up,
            database_up=database_up,
            shards=shards,
        )

    async def _probe_database(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await self._history.answers()
        except TimeoutError:
            return False

    async def _probe_redis(self) -> tuple[bool, bool, list[ShardHealth]]:
        commands = [PROBE]
        for keys in self._keys:
            commands.extend(questions(keys, self._group))
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                replies = await self._wire.pipeline_raw(commands)
        except (Overloaded, TimeoutError):
            return False, False, [ShardHealth(shard) for shard in range(len(self._keys))]
        now_ms = time.time_ns() // 1_000_000
        accepting = not isinstance(replies[0], hiredis.ReplyError)
        each = (len(replies) - 1) // len(self._keys)
        shards = [
            read_shard(shard, self._group, replies[1 + shard * each :][:each], now_ms)
            for shard in range(len(self._keys))
        ]
        return True, accepting, shards


class Alive:
    """The process runs; says nothing about what it needs."""

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        resp.data = b'{"status":"ok"}'

    on_head = on_get
