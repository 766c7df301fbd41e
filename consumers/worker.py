"""A worker: the only process that reads a shard's stream and writes its live state.

The live stage and the history stage share the stream and nothing else; chores run beside them,
each on its own. A task that raises what it does not expect ends the process; the supervisor starts
another, which finds everything unfinished in the stream.
"""

import argparse
import asyncio
import contextlib
import faulthandler
import gc
import sys
from collections.abc import Callable, Coroutine

import uvloop
from redis.exceptions import RedisError

from common.backoff import Backoff
from common.errors import EXIT_CONFIG, ConfigError
from common.layout import Layout
from common.log import Repeated, configure, get
from common.metrics.reporter import REPORT_EVERY_S, Reporter
from common.processes.background import Background
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.signals import STOP_SIGNALS
from common.redis.meta import check_meta
from common.settings import Settings, load_settings
from common.shards import Shards
from consumers.assembly import WorkerPace, assemble
from consumers.liveness import Liveness
from consumers.numbers import ShardNumbers
from consumers.stream.group_reader import REDIS_TROUBLE
from consumers.stream.lease import Fenced

REDIS_BACKOFF = Backoff(first_s=0.05, most_s=1.0)
# What is left of DRAIN_TIMEOUT_S for trimming, the lease and the interpreter's end.
LEAVE_S = 2.0
# Python looks for cycles after so many new objects, by default 700. A page makes ten thousands of
# them, none in a cycle, and each look walked through them all: a third of the time of decoding.
GC_OBJECTS = 50_000

_log = get("worker")


class Worker:
    """One shard's stages and chores. `beat` is called while both stages advance.

    `tell` is given the worker's numbers about once a second. `shards`: the layout, if it is not
    the first of a system.
    """

    def __init__(
        self,
        settings: Settings,
        index: int,
        beat: Callable[[], None],
        pace: WorkerPace | None = None,
        tell: Callable[[bytes], None] = lambda _report: None,
        *,
        shards: Shards | None = None,
    ) -> None:
        self._settings = settings
        shards = shards or Shards(settings.stream_name, settings.shards)
        self._liveness = Liveness(("live", "history"), beat)
        self.parts = assemble(settings, shards, index, pace or WorkerPace(), self._liveness)
        self._reporter = Reporter(tell, ShardNumbers(shards[index].name, self.parts).put)
        self.tasks = Background(_log, crashed=self._crashed)
        self._stopping = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Settle what is in hand, then return from `run`."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until stopped. Raises whatever ended a task."""
        parts = self.parts
        await parts.wires.start()
        self.tasks.every(REPORT_EVERY_S, self._reporter.report, name="report")
        try:
            if await self._take_shard():
                await self._work()
                await self.tasks.close()
                with contextlib.suppress(*REDIS_TROUBLE):
                    await parts.trim.trim()
                    await parts.lease.release()
            else:
                # It may hold the lease all the same: older shards, or a replica, were waited for.
                with contextlib.suppress(*REDIS_TROUBLE):
                    await parts.lease.release()
        finally:
            await self.tasks.close()
            for history in parts.histories:
                await history.table.close()
            await parts.wires.close()
            self._reporter.report_now()

    async def _work(self) -> None:
        live, histories = self.parts.live, self.parts.histories
        for name, (seconds, chore) in self.parts.chores.items():
            self.tasks.every(seconds, chore, name=name)
        stages = [self.tasks.run(live.run(), name="live")]
        for history in histories:
            storing = history.stage.run(begin=live.begun.wait)
            stages.append(self.tasks.run(storing, name=history.name))
        await self._unless_failed(self._stopping.wait())
        live.stop()
        for history in histories:
            history.stage.stop()
        await self._unless_failed(asyncio.wait(stages, timeout=self._drain_s))

    async def _unless_failed(self, coroutine: Coroutine[object, object, object]) -> None:
        """Wait for `coroutine`. Raises what ended a task, as soon as one has ended."""
        waiting = asyncio.ensure_future(coroutine)
        try:
            await asyncio.wait((waiting, self._failed), return_when=asyncio.FIRST_COMPLETED)
            if self._failed.done():
                self._failed.result()
        finally:
            waiting.cancel()

    def _crashed(self, name: str, error: BaseException) -> None:
        _log.error("task.died", task=name, error=f"{type(error).__name__}: {error}")
        if not self._failed.done():
            self._failed.set_exception(error)

    @property
    def _drain_s(self) -> float:
        """Time for the page in hand: less than the supervisor's deadline for all of us."""
        return max(self._settings.drain_timeout_s - LEAVE_S, self._settings.drain_timeout_s / 2)

    async def _take_shard(self) -> bool:
        """Wait for the shard; False when the worker is stopped before it has it."""
        trouble = Repeated(_log, "shard.waiting")
        attempt, checked = 0, False
        while not self._stopping.is_set():
            try:
                if not checked:
                    await self._check_meta()
                    checked = True
                holder = await self.parts.lease.acquire()
                if holder is None and not await self.parts.barrier.is_open():
                    # Older shards still have something to show.
                    attempt = 0
                elif holder is None:
                    for history in self.parts.histories:
                        await history.group.make()
                    # Before anything is settled: what waits may be an older release's.
                    await self.parts.settled.even_out()
                    trouble.healed()
                    return True
                else:
                    trouble.failed(error=f"the shard is held by {holder}")
            except (*REDIS_TROUBLE, RedisError, OSError) as e:
                trouble.failed(error=str(e))
            self._advanced()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REDIS_BACKOFF.delay_s(attempt)):
                    await self._stopping.wait()
            attempt += 1
        return False

    async def _check_meta(self) -> None:
        """The check asks several things, each of which may take its time: that is no standstill."""
        checking = asyncio.ensure_future(
            check_meta(self._settings.redis_url, self._settings.shards, self._settings.stream_name)
        )
        try:
            while not checking.done():
                self._advanced()
                await asyncio.wait((checking,), timeout=1.0)
            checking.result()
        finally:
            checking.cancel()

    def _advanced(self) -> None:
        self._liveness.all_advanced()


async def work(settings: Settings, shards: Shards, index: int) -> None:
    """Run the worker of shard `index` of `shards` until SIGTERM or SIGINT."""
    heartbeat = Heartbeat.from_env()
    worker = Worker(settings, index, heartbeat.beat, tell=heartbeat.report, shards=shards)
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, worker.stop)
    _log.info("worker.started", shard=index)
    await worker.run()
    _log.info("worker.stopped", shard=index)


def main() -> int:
    """Entry point: `python -m consumers.worker --shard S [--layout 2:16] [--older 1:4]`."""
    die_with_parent()
    faulthandler.enable()
    gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
    parser = argparse.ArgumentParser(description="Consume one shard.")
    parser.add_argument("--shard", type=int, required=True)
    parser.add_argument("--layout", type=Layout.parse)
    parser.add_argument("--older", type=Layout.parse)
    arguments = parser.parse_args()
    index = arguments.shard
    try:
        settings = load_settings()
        layout: Layout = arguments.layout or Layout(settings.shards)
        shards = Shards(settings.stream_name, layout.shards, layout.epoch, arguments.older)
        configure(f"consumer-{shards[index].name}", settings.log_level, settings.log_format)
        uvloop.run(work(settings, shards, index))
    except ConfigError as e:
        print(f"fleetline: {e}", file=sys.stderr)  # noqa: T201
        return EXIT_CONFIG
    except Fenced as e:
        _log.error("worker.fenced", error=str(e))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
