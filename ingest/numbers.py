"""What a worker of ingest says of itself: its counts, and how it sees the streams."""

import time

from common.metrics.names import ingest as names
from common.metrics.snapshot import Snapshot
from ingest.apps.app_counts import AppCounts
from ingest.intake.backlog import Backlog
from ingest.intake.intake import Intake
from ingest.intake.writer.turns import Turns
from ingest.redis_memory import RedisMemory


class WorkerNumbers:
    """Gives them; reads, and changes nothing."""

    def __init__(
        self,
        intake: Intake,
        turns: Turns,
        backlog: Backlog,
        apps: AppCounts,
        memory: RedisMemory,
    ) -> None:
        self._intake = intake
        self._turns = turns
        self._backlog = backlog
        self._apps = apps
        self._memory = memory

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        snapshot.put_each(names.FIXES, self._intake.fixes())
        for (app, reason), count in self._apps.totals.items():
            snapshot.put(names.APP_ITEMS, count, app, reason)
        self._turns.put(snapshot)
        snapshot.put(names.MISSING_SHARDS, len(self._backlog.missing))
        snapshot.put(names.REDIS_UP, int(self._memory.up))
        if self._memory.seen:
            snapshot.put(names.REDIS_MEMORY, self._memory.used_bytes)
            snapshot.put(names.REDIS_MEMORY_LIMIT, self._memory.limit_bytes)
        self._put_shards(snapshot)

    def _put_shards(self, snapshot: Snapshot) -> None:
        now_s = time.monotonic()
        for number, room in enumerate(self._backlog.capacity.rooms()):
            outlook, waiting = self._backlog.outlooks[number], self._backlog.waiting[number]
            shard = self._backlog.shards[number].name
            if waiting is None:
                # Not asked yet, or Redis did not say: nothing is claimed.
                continue
            snapshot.put(names.LAG_FIXES, waiting, shard)
            snapshot.put(names.LAG_SECONDS, round(outlook.lag_s(now_s), 3), shard)
            snapshot.put(names.ROOM_FIXES, max(0, room), shard)
            snapshot.put(names.ROOM_SECONDS, round(outlook.room_s(room), 1), shard)
