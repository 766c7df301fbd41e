"""The keeper: what a worker does once a second beside its work.

It renews the lease, sees what waits, writes live state that Redis refused before, expires silent
drivers, trims the stream, and sees to it that no entry stays pending for ever, however it got lost.
"""

import asyncio
import time
from datetime import UTC, datetime

from common.log import Repeated, get
from common.redis.wire import Wire
from consumers.history.stage import History
from consumers.live.moves import epoch_ms
from consumers.live.stage import Live
from consumers.stream.counts import Counts
from consumers.stream.dead_letter import DeadLetters
from consumers.stream.lease import Lease
from consumers.stream.reader import REDIS_TROUBLE, Reader, is_group_missing
from consumers.stream.trim import trim

KEEP_EVERY_S = 1.0
# Entries of consumers that are gone are looked for this often; they wait a minute anyway.
CLAIM_EVERY_S = 10.0


class Keeper:
    """Runs until cancelled. Raises `Fenced` when the shard is somebody else's."""

    def __init__(  # noqa: PLR0917
        self,
        wire: Wire,
        lease: Lease,
        reader: Reader,
        live: Live,
        history: History,
        dead: DeadLetters,
        counts: Counts,
        *,
        stream: str,
        idle_ms: int,
        ttl_s: int,
    ) -> None:
        self._wire = wire
        self._lease = lease
        self._reader = reader
        self._live = live
        self._history = history
        self._dead = dead
        self._counts = counts
        self._stream = stream
        self._idle_ms = idle_ms
        self._ttl_s = ttl_s
        self._claim_at_s = 0.0
        self._trouble = Repeated(get("keeper"), "keeper.trouble")

    async def run(self) -> None:
        """Keep, once a second; trouble with Redis is waited out."""
        while True:
            try:
                await self._lease.renew()
                await self._keep()
            except REDIS_TROUBLE as e:
                self._trouble.failed(error=str(e))
            else:
                self._trouble.healed()
            await asyncio.sleep(KEEP_EVERY_S)

    async def _keep(self) -> None:
        await self._reader.look()
        await self._counts.keep()
        await self._live.retry()
        await self._live.ask_watched()
        await self._live.expire(epoch_ms(datetime.now(UTC)) - self._ttl_s * 1000)
        await trim(self._wire, self._stream)
        if time.monotonic() >= self._claim_at_s:
            self._claim_at_s = time.monotonic() + CLAIM_EVERY_S
            await self._collect_strays()

    async def _collect_strays(self) -> None:
        try:
            claimed = await self._reader.claim(self._idle_ms)
        except REDIS_TROUBLE as e:
            # Some may have become ours before the reply was lost.
            if not is_group_missing(e):
                self._history.fall_behind()
            raise
        forgotten = self._history.idle and await self._reader.any_idle(self._idle_ms)
        if claimed or forgotten or self._dead.left:
            self._dead.left = False
            self._history.fall_behind()
