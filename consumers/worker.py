"""A worker: the only process that reads a shard's stream and writes its live state.

Three loops under one roof: the live loop reads and moves drivers at once, the history loop stores
in batches, the keeper renews the lease and trims. A loop that raises anything it does not expect
ends the process; the supervisor starts another, which finds everything unfinished pending.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import signal
import sys
import time

import uvloop
from redis.exceptions import RedisError

from common.backoff import Backoff
from common.errors import EXIT_CONFIG, ConfigError
from common.keys import ShardKeys, shard_keys
from common.log import Repeated, configure, get
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.redis.meta import check_meta
from common.redis.wire import Reply, Wire
from common.settings import Settings, load_settings
from consumers.history.ledger import Ledger
from consumers.history.sink import Sink
from consumers.history.stage import History, HistoryLimits
from consumers.keeper import Keeper
from consumers.live.stage import Live
from consumers.progress import Progress
from consumers.stream.counts import Counts
from consumers.stream.dead_letter import DeadLetters
from consumers.stream.decode import decode_entries
from consumers.stream.group import make_again
from consumers.stream.lease import Fenced, Lease
from consumers.stream.reader import REDIS_TROUBLE, Reader, entries_of, is_group_missing
from consumers.stream.trim import trim

# A reply that takes longer than this means that the connection is dead; far above any command.
REDIS_REPLY_TIMEOUT_S = 5.0
REDIS_BACKOFF = Backoff(first_s=0.05, most_s=1.0)
# What is left of DRAIN_TIMEOUT_S for trimming, the lease and the interpreter's end.
LEAVE_S = 2.0

_log = get("worker")


class Worker:
    """One shard's loops and what they share."""

    def __init__(self, settings: Settings, shard: int, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._stopping = asyncio.Event()
        self._trouble = Repeated(_log, "redis.trouble")
        # In a backlog: the read that is under way while the last page is worked off.
        self._reading: asyncio.Future[Reply] | None = None
        self._keys: ShardKeys = shard_keys(settings.stream_name, shard)
        group, consumer = settings.consumer_group, f"shard-{shard}"
        self._wire = self._connection(shard, REDIS_REPLY_TIMEOUT_S)
        block_s = settings.read_block_ms / 1000
        self._reads = self._connection(shard, block_s + REDIS_REPLY_TIMEOUT_S)
        self._counts = Counts(self._wire, self._keys.counts)
        self._reader = Reader(
            self._reads, self._wire, self._keys, self._counts, group=group, consumer=consumer
        )
        self._lease = Lease(self._wire, self._keys.consumer)
        self._dead = DeadLetters(self._wire, self._keys, shard=shard, group=group)
        self._live = Live(
            self._wire,
            self._keys,
            shard=shard,
            names_max=settings.newest_drivers_max,
            order_ttl_s=settings.order_ttl_s,
        )
        self._sink = Sink(settings.database_url, timeout_s=settings.database_timeout_s)
        self._history = History(
            Ledger(settings.inflight_events_max),
            self._sink,
            self._reader,
            self._live,
            self._dead,
            self._counts,
            HistoryLimits(
                rows=settings.history_rows,
                linger_s=settings.history_linger_ms / 1000,
                retries=settings.max_retries,
            ),
            progress,
            self._confirm_lease,
        )

        self._keeper = Keeper(
            self._wire,
            self._lease,
            self._reader,
            self._live,
            self._history,
            self._dead,
            self._counts,
            stream=self._keys.stream,
            idle_ms=settings.pending_message_timeout,
            ttl_s=settings.location_ttl,
        )

    def _connection(self, shard: int, timeout_s: float) -> Wire:
        url = self._settings.redis_url
        return Wire(url, reply_timeout_s=timeout_s, name=f"fleetline-consumer-{shard}")

    def stop(self) -> None:
        """Finish the open batch, then return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped."""
        await self._wire.start()
        await self._reads.start()
        try:
            if not await self._take_lease():
                return
            with contextlib.suppress(*REDIS_TROUBLE):
                await self._reader.ensure_group()
                await self._history.begin()
                await self._counts.keep()
            async with asyncio.TaskGroup() as loops:
                live = loops.create_task(self._live_loop(), name="live")
                history = loops.create_task(self._history.run(), name="history")
                keeper = loops.create_task(self._keeper.run(), name="keeper")
                await asyncio.wait((live,))
                self._history.stop()
                await asyncio.wait((history,), timeout=self._drain_s)
                history.cancel()
                keeper.cancel()
            await self._tidy_up()
        finally:
            await self._sink.close()
            await self._reads.close()
            await self._wire.close()

    async def _tidy_up(self) -> None:
        with contextlib.suppress(*REDIS_TROUBLE):
            await trim(self._wire, self._keys.stream)
            await self._lease.release()

    @property
    def _drain_s(self) -> float:
        """Time for the open batch: less than the supervisor's deadline for all of us."""
        return max(self._settings.drain_timeout_s - LEAVE_S, self._settings.drain_timeout_s / 2)

    async def _take_lease(self) -> bool:
        """Wait for the shard; False when the worker is stopped before it has it."""
        attempt = 0
        checked = False
        while not self._stopping.is_set():
            self._progress.tick("live")
            self._progress.tick("history")
            try:
                if not checked:
                    await check_meta(self._settings.redis_url, self._settings.shards)
                    checked = True
                holder = await self._lease.acquire()
                if holder is None:
                    return True
                self._trouble.failed(error=f"the shard is held by {holder}")
            except (*REDIS_TROUBLE, RedisError, OSError) as e:
                self._trouble.failed(error=str(e))
            await self._pause(REDIS_BACKOFF.delay_s(attempt))
            attempt += 1
        return False

    async def _live_loop(self) -> None:
        attempt = 0
        # A read that is under way when the worker stops still delivers: it is worked off too.
        while self._reading is not None or not self._stopping.is_set():
            self._progress.tick("live")
            try:
                await self._live_step()
            except REDIS_TROUBLE as e:
                self._trouble.failed(error=str(e))
                missing = is_group_missing(e)
                if not missing:
                    # A reply may be lost after the entries were delivered: they are pending now.
                    self._history.fall_behind()
                # A lost group is made again at once, unless that was tried just now.
                if attempt or not missing:
                    await self._pause(REDIS_BACKOFF.delay_s(attempt))
                attempt += 1
                if missing:
                    await self._make_group_again()
            else:
                attempt = 0
                self._trouble.healed()

    async def _live_step(self) -> None:
        await self._history.room()
        reading, self._reading = self._reading or self._begin_read(), None
        page = entries_of(await reading)
        self._reader.waiting.delivered(page)
        read_at = time.monotonic()
        many = len(page) * 2 > self._settings.batch_events_max
        if many and not self._stopping.is_set():
            self._reading = self._begin_read()
        if page:
            await self._confirm_lease()
            entries = await decode_entries(page, self._reader, self._dead)
            await self._live.apply(entries)
            self._history.offer(entries)
        if page and not many:
            await self._pause(read_at + self._settings.read_pause_ms / 1000 - time.monotonic())

    def _begin_read(self) -> asyncio.Future[Reply]:
        return self._reader.begin_read(
            self._settings.batch_events_max, self._settings.read_block_ms
        )

    async def _confirm_lease(self) -> None:
        if not self._lease.fresh:
            await self._lease.renew()

    async def _make_group_again(self) -> None:
        with contextlib.suppress(*REDIS_TROUBLE):
            await make_again(self._keys.stream, self._reader, self._history, self._counts)

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()


async def work(settings: Settings, shard: int) -> None:
    """Run the worker of `shard` until SIGTERM or SIGINT."""
    heartbeat = Heartbeat.from_env()
    worker = Worker(settings, shard, Progress(("live", "history"), heartbeat.beat))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    _log.info("worker.started", shard=shard)
    await worker.run()
    _log.info("worker.stopped", shard=shard)


def main() -> int:
    """Entry point: `python -m consumers.worker --shard S`."""
    die_with_parent()
    faulthandler.enable()
    parser = argparse.ArgumentParser(description="Consume one shard.")
    parser.add_argument("--shard", type=int, required=True)
    shard = parser.parse_args().shard
    try:
        settings = load_settings()
        configure(f"consumer-{shard}", settings.log_level)
        uvloop.run(work(settings, shard))
    except ConfigError as e:
        return _refuse(e)
    except BaseExceptionGroup as group:
        if errors := group.subgroup(ConfigError):
            return _refuse(errors.exceptions[0])
        if fenced := group.subgroup(Fenced):
            _log.error("worker.fenced", error=str(fenced.exceptions[0]))
            return 1
        raise
    return 0


def _refuse(error: BaseException) -> int:
    print(f"fleetline: {error}", file=sys.stderr)  # noqa: T201
    return EXIT_CONFIG


if __name__ == "__main__":
    sys.exit(main())
