"""Evidence: what the history, the live state and the dead letters hold, read from the servers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import psutil

from common.event import decode_event
from common.keys import STREAM_NAME, shard_keys
from tests.faults.chaos.fixes import EPOCH
from tests.faults.chaos.redis_servers import redis_client
from tests.stack import Stack

GROUP = "location-processors"
MICROSECOND = timedelta(microseconds=1)
# Rows fetched at a time.
PAGE = 5000


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the history, or a live position. Times in microseconds since 1970."""

    number: int
    driver: str
    recorded_us: int
    received_us: int

    @property
    def effective(self) -> tuple[int, int]:
        """What decides which of two is newer: a fix never counts as of later than its arrival."""
        return min(self.recorded_us, self.received_us), self.recorded_us


@dataclass(slots=True)
class Evidence:
    """All that was found."""

    rows: list[Row] = field(default_factory=list)
    live: dict[str, Row] = field(default_factory=dict)
    dead: list[bytes] = field(default_factory=list)
    backlog: int = 0
    pending: int = 0


async def gather_evidence(stack: Stack, shards: int) -> Evidence:
    """Read everything."""
    found = Evidence(rows=[row async for row in _history(stack)])
    async with redis_client(stack, timeout_s=10.0) as client:
        found.backlog, found.pending = await waiting(client, shards)
        for shard in range(shards):
            keys = shard_keys(STREAM_NAME, shard, shards)
            for name, value in (await client.hgetall(keys.live)).items():
                found.live[name.decode("utf-8", "replace")] = _live(value)
            found.dead += [fields[b"payload"] for _, fields in await client.xrange(keys.dead)]
    return found


async def waiting(client: Any, shards: int) -> tuple[int, int]:
    """Entries unread, or not yet trimmed, and entries pending, in all shards."""
    backlog = pending = 0
    for shard in range(shards):
        stream = shard_keys(STREAM_NAME, shard, shards).stream
        length = await client.xlen(stream)
        here = (await client.xpending(stream, GROUP))["pending"] if length else 0
        backlog, pending = backlog + length - here, pending + here
    return backlog, pending


async def _history(stack: Stack) -> AsyncIterator[Row]:
    connection = await asyncpg.connect(stack.database_url, timeout=10)
    try:
        async with connection.transaction():
            query = "SELECT accuracy, driver_id, recorded_at, received_at FROM locations"
            async for number, driver, recorded, received in connection.cursor(query, prefetch=PAGE):
                yield Row(int(number or 0), driver, _us(recorded), _us(received))
    finally:
        await connection.close()


def _live(value: bytes) -> Row:
    event = decode_event(value)
    return Row(
        int(event.accuracy or 0), event.driver_id, _us(event.recorded_at), _us(event.received_at)
    )


def _us(when: Any) -> int:
    return int((when - EPOCH) // MICROSECOND)


def survivors(home: Path) -> list[str]:
    """Processes that work in `home` still: after a stop there is none."""
    found = []
    for process in psutil.process_iter(("cwd", "environ", "cmdline", "status")):
        # Servers write over their environment, but stand in their data.
        inside = str(process.info["cwd"] or "").startswith(str(home))
        told = (process.info["environ"] or {}).get("FLEETLINE_HOME") == str(home)
        if (inside or told) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(f"{process.pid} {' '.join(process.info['cmdline'] or ())[:100]}")
    return found
