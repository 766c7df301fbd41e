"""Ingest as a process: Granian, with the options that were measured, until it is told to stop."""

import asyncio
import math
import signal
import socket
from functools import partial

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels

from common import log
from common.access.gate import open_gate
from common.errors import EXIT_CONFIG, ConfigError
from common.processes.process import die_with_parent
from common.redis.meta import check_meta
from common.settings import Settings
from ingest.app import Ingest, create_app
from ingest.reports import WorkerReports, leave_main, tell

# Longest wait for a whole request head, and so also how long an idle keep-alive connection is kept
# (measured). A proxy in front must let go of its own idle connections sooner.
HEADER_TIMEOUT_MS = 10_000
# Connections the kernel may hold while workers are busy accepting: a fleet that reconnects.
ACCEPT_QUEUE = 4096
# Longest wait for the look at fleetline:meta before the start.
META_TIMEOUT_S = 3.0


def run(settings: Settings) -> int:
    """Serve until SIGINT or SIGTERM; the exit status. Starts also while Redis is down."""
    # Also publishes our pid, without which workers would not know whom to follow.
    die_with_parent()
    log.configure("ingest", settings.log_level, settings.log_format)
    try:
        # Only a look at what the workers will read: the key file, for one.
        open_gate(settings)
        asyncio.run(_check(settings))
    except ConfigError as e:
        log.get("ingest").error("config.wrong", error=str(e))
        return EXIT_CONFIG
    try:
        _require_free(settings.bind_host, settings.ingest_port)
    except OSError as e:
        log.get("ingest").error("port.taken", port=settings.ingest_port, error=str(e))
        return 1
    server = Granian(
        target="ingest.asgi:app",
        address=settings.bind_host,
        port=settings.ingest_port,
        interface=Interfaces.ASGI,
        workers=settings.ingest_workers,
        # Measured a tenth cheaper than RuntimeModes.st; one thread, since Python is the bottleneck.
        runtime_mode=RuntimeModes.mt,
        runtime_threads=1,
        loop=Loops.uvloop,
        http=HTTPModes.http1,
        websockets=False,
        backlog=ACCEPT_QUEUE,
        # Granian counts connections here, idle ones too, not requests.
        backpressure=settings.ingest_connections_max,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS),
        log_level=LogLevels.warning,
        log_access=False,
        respawn_failed_workers=True,
        # "Killing worker-1 after it refused to gracefully stop" may be said of one that has gone:
        # two threads of Granian wait for the same process, and only one of them learns its end.
        workers_kill_timeout=max(1, math.ceil(settings.drain_timeout_s)),
    )
    reports = WorkerReports(settings)
    reports.start()
    try:
        server.serve(target_loader=partial(_load, settings, reports.for_workers), wrap_loader=False)
    except SystemExit as e:
        return int(e.code or 0)
    return 0


def _load(settings: Settings, for_workers: socket.socket) -> Ingest:
    """In the worker process: the application, which leaves when the main process dies."""
    # Until Granian sets its own, the handlers are the main process' and would swallow a signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    # SIGKILL, since Granian can hang in its own handler when another signal comes while it starts.
    # Only a main process that was itself killed leaves its workers to the kernel.
    die_with_parent(signal.SIGKILL)
    log.configure("ingest", settings.log_level, settings.log_format)
    log.lines.clear()
    leave_main()
    return create_app(settings, partial(tell, for_workers))


def _require_free(host: str, port: int) -> None:
    """Raise `OSError` when somebody listens there: Granian would silently share the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


async def _check(settings: Settings) -> None:
    try:
        async with asyncio.timeout(META_TIMEOUT_S):
            await check_meta(settings.redis_url, settings.shards, settings.stream_name)
    except ConfigError:
        raise
    except Exception as e:  # whatever it is, it is not the configuration
        log.get("ingest").warning("meta.unchecked", error=str(e) or type(e).__name__)
