"""The fan-out's process: put together, serve, drain, leave nothing behind."""

import asyncio
import contextlib
import gc
import socket
import sys
from collections.abc import AsyncIterator
from typing import Final

import aiofastnet
import uvloop

from common import log
from common.errors import EXIT_CONFIG, ConfigError
from common.metrics.reporter import REPORT_EVERY_S, Reporter
from common.metrics.role import RoleMetrics
from common.processes.background import Background, Crashed, end_process
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.signals import set_on_stop
from common.redis.kind import require_kind
from common.redis.layout_watch import LOOK_EVERY_S, LayoutWatch
from common.settings import Settings
from fanout.door.policy import Policy
from fanout.listening import listen
from fanout.numbers import FanoutNumbers
from fanout.parts import Fanout
from fanout.sockets.drain import drain
from fanout.tuning import Tuning
from fanout.workers import supervise

# Handshakes that wait in the kernel: a whole deploy's worth of clients comes back at once.
LISTEN_BACKLOG: Final = 4_096
# Sessions are long-lived: looking through all of them every 700 allocations stalls the loop.
GC_THRESHOLDS: Final = (50_000, 20, 50)

TUNING: Final = Tuning()

_log = log.get("fanout")


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    sock: socket.socket,
    *,
    policy: Policy | None = None,
    tuning: Tuning = TUNING,
    crashed: Crashed = end_process,
    heartbeat: Heartbeat | None = None,
) -> AsyncIterator[Fanout]:
    """Serve on `sock` until the block is left; then drain, and stop all parts.

    `crashed` is told of a part that failed: the process then ends, and another is started.
    """
    fanout = Fanout(settings, tuning, policy=policy, heartbeat=heartbeat)
    async with contextlib.AsyncExitStack() as stack:
        await fanout.nodes.start()
        stack.push_async_callback(fanout.nodes.close)
        await require_kind(fanout.nodes)
        if fanout.watch is not None:
            await fanout.watch.start()
            stack.push_async_callback(fanout.watch.stop)
        background = Background(_log, crashed=crashed)
        stack.push_async_callback(background.close)
        background.run(fanout.subscriptions.run(), name="subscriptions")
        background.run(fanout.probe.run(), name="probe")
        background.run(fanout.feed.run(), name="feed")
        layouts = LayoutWatch(
            fanout.nodes, settings.stream_name, settings.shards, fanout.feed.adopt
        )
        background.every(LOOK_EVERY_S, layouts.look, name="layout")
        background.run(fanout.keep_ticking(), name="wheel")
        background.run(fanout.with_token.run(), name="tokens")
        server = await aiofastnet.create_server(
            asyncio.get_running_loop(),
            fanout.connections.accept,
            sock=sock,
            backlog=LISTEN_BACKLOG,
        )
        try:
            yield fanout
        finally:
            server.close()
            fanout.places.draining = True
            fanout.connections.close()
            await drain(fanout.sessions, settings.drain_timeout_s * 0.8)
    gauges = fanout.gauges()
    _log.info("stopped", left={name: n for name, n in gauges.items() if n})


async def serve(settings: Settings, sock: socket.socket, tuning: Tuning = TUNING) -> None:
    """Serve on `sock` until a stop signal."""
    stop = asyncio.Event()
    set_on_stop(asyncio.get_running_loop(), stop)
    heartbeat = Heartbeat.from_env()
    async with running(settings, sock, tuning=tuning, heartbeat=heartbeat) as fanout:
        numbers = FanoutNumbers(fanout).put
        background = Background(_log)
        reporter = None
        if settings.fanout_workers == 1:
            background.run(RoleMetrics("fanout", settings, numbers).run(), name="metrics")
        else:
            reporter = Reporter(heartbeat.report, numbers)
            background.every(REPORT_EVERY_S, reporter.report, name="report")
        _log.info("listening", host=settings.bind_host, port=settings.fanout_port)
        await stop.wait()
        await background.close()
    if reporter is not None:
        reporter.report_now()


def run(settings: Settings) -> int:
    """Run the role until a stop signal; its exit status."""
    if settings.fanout_workers == 1:
        return run_worker(settings)
    die_with_parent()
    log.configure("fanout", settings.log_level, settings.log_format)
    try:
        # Workers share the port with whoever asks; another stack must be noticed here.
        listen(settings, TUNING.outbox_bytes_max).close()
    except ConfigError as e:
        return _refuse(e)
    return supervise(settings)


def run_worker(settings: Settings) -> int:
    """Serve in this process until a stop signal; the exit status."""
    die_with_parent()
    log.configure("fanout", settings.log_level, settings.log_format)
    try:
        sock = listen(settings, TUNING.outbox_bytes_max, shared=settings.fanout_workers > 1)
    except ConfigError as e:
        return _refuse(e)
    gc.set_threshold(*GC_THRESHOLDS)
    try:
        uvloop.run(serve(settings, sock))
    except ConfigError as e:
        return _refuse(e)
    return 0


def _refuse(error: ConfigError) -> int:
    print(f"fanout: {error}", file=sys.stderr)  # noqa: T201
    return EXIT_CONFIG
