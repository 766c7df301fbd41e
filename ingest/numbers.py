"""What a worker of ingest says of itself: its counts, and how it sees the streams."""

import time
from collections.abc import Sequence

from common.metrics.names import ingest as names
from common.metrics.snapshot import Snapshot
from common.redis.nodes import Nodes
from ingest.apps.app_counts import AppCounts
from ingest.intake.backlog import Backlog
from ingest.intake.intake import Intake
from ingest.intake.room import ServerRoom
from ingest.intake.writer.turns import Turns


class WorkerNumbers:
    """Gives them; reads, and changes nothing."""

    def __init__(
        self,
        intake: Intake,
        turns: Turns,
        backlog: Backlog,
        apps: AppCounts,
        nodes: Nodes,
    ) -> None:
        self._intake = intake
        self._turns = turns
        self._backlog = backlog
        self._apps = apps
        self._nodes = nodes

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        snapshot.put_each(names.FIXES, self._intake.fixes())
        for (app, reason), count in self._apps.totals.items():
            snapshot.put(names.APP_ITEMS, count, app, reason)
        self._turns.put(snapshot)
        snapshot.put(names.MISSING_SHARDS, len(self._backlog.missing))
        snapshot.put(names.REDIS_UP, int(all(wire.up for wire in self._nodes.wires)))
        self._put_lags(snapshot)
        self._put_rooms(snapshot, self._backlog.servers())

    def _put_lags(self, snapshot: Snapshot) -> None:
        now_s = time.monotonic()
        outlooks = self._backlog.outlooks
        for number, waiting in enumerate(self._backlog.waiting):
            # Not asked yet, or Redis did not say: nothing is claimed.
            if waiting is not None:
                shard, lag_s = self._backlog.shards[number].name, outlooks[number].lag_s(now_s)
                snapshot.put(names.LAG_FIXES, waiting, shard)
                snapshot.put(names.LAG_SECONDS, round(lag_s, 3), shard)

    def _put_rooms(self, snapshot: Snapshot, servers: Sequence[ServerRoom]) -> None:
        memories = [server.memory for server in servers if server.memory is not None]
        if memories:
            fullest = max(memories, key=lambda memory: (memory.fullness, memory.used_bytes))
            snapshot.put(names.REDIS_MEMORY, fullest.used_bytes)
            snapshot.put(names.REDIS_MEMORY_LIMIT, fullest.limit_bytes)
        for server in servers:
            for number, room in zip(server.shards, server.rooms, strict=True):
                shard = self._backlog.shards[number].name
                snapshot.put(names.ROOM_FIXES, room.fixes, shard)
                snapshot.put(names.ROOM_SECONDS, round(room.lasts_s, 1), shard)
                snapshot.put(names.OUTAGE_SECONDS, round(room.outage_s, 1), shard)
                snapshot.put(names.WAITING_FIX_BYTES, server.fix_bytes, shard)
