"""The fan-out's process: put together, serve, drain, leave nothing behind."""

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from typing import Final

import aiofastnet
import uvloop

from common import log
from common.access.gate import open_gate
from common.access.watch import AccessWatch
from common.errors import EXIT_CONFIG, ConfigError
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.signals import set_on_stop
from common.redis.wire import Wire
from common.settings import Settings
from fanout.counts import Counts
from fanout.fleet.feed import Feed
from fanout.orders.subscriptions import Subscriptions
from fanout.probe import Probe
from fanout.sockets.access import AccessPolicy
from fanout.sockets.door import Door
from fanout.sockets.drain import drain
from fanout.sockets.guests import Guests
from fanout.sockets.policy import Policy
from fanout.sockets.session import UNSENT_BYTES_MAX
from fanout.sockets.sessions import Sessions
from fanout.workers import supervise

# Handshakes that wait in the kernel: a whole deploy's worth of clients comes back at once.
LISTEN_BACKLOG: Final = 4_096
# What one process needs besides its sockets.
FILES_SPARE: Final = 256
# Sessions are long-lived: looking through all of them every 700 allocations stalls the loop.
GC_THRESHOLDS: Final = (50_000, 20, 50)
# Linux' option number; Python 3.11 does not name it.
TCP_NOTSENT_LOWAT: Final = 25

_log = log.get("fanout")


class Fanout:
    """All parts of one process. Use `running` to have them run."""

    def __init__(self, settings: Settings, policy: Policy | None, heartbeat: Heartbeat) -> None:
        self.settings = settings
        self.counts = Counts()
        self._heartbeat = heartbeat
        name = f"fanout-{os.getpid()}"
        self.wire = Wire(
            settings.redis_url, reply_timeout_s=settings.redis_reply_timeout_s, name=name
        )
        gate = open_gate(settings)
        self.guests = Guests() if gate is None else Guests(gate.is_revoked)
        self.watch = None if gate is None else AccessWatch(self.wire, gate, self.guests.recheck)
        self.sessions = Sessions(settings, self.counts, self.guests)
        self.subscriptions = Subscriptions(settings, self.wire, self.counts, f"{name}-pubsub")
        self.probe = Probe(settings, self.wire, self.subscriptions, self.counts)
        self.feed = Feed(settings, self.wire, self.subscriptions, self.counts)
        self.door = Door(
            settings,
            policy=policy or AccessPolicy(settings, gate),
            sessions=self.sessions,
            subscriptions=self.subscriptions,
            feed=self.feed,
            probe=self.probe,
            counts=self.counts,
            sessions_max=sessions_max(settings),
        )

    async def keep_turning(self) -> None:
        """Turn the sessions' wheel; that it turns is the process' sign of life."""
        while True:
            await asyncio.sleep(self.sessions.tick_s)
            self.sessions.turn()
            self.door.forget_gone()
            self._heartbeat.beat()

    def gauges(self) -> dict[str, int]:
        """What is there now. All zero once everybody has gone."""
        return {
            "sessions": len(self.sessions.open),
            "guests": len(self.guests.sessions),
            "addresses": len(self.sessions.by_address),
            "full": len(self.sessions.full),
            "ending": len(self.sessions.ending),
            "handshakes": len(self.door.pending),
            "operators": len(self.feed.operators),
            "watched": sum(c.watched for c in self.subscriptions.hub.channels.values()),
        }


def listen(settings: Settings, *, shared: bool = False) -> socket.socket:
    """The listening socket; accepted ones inherit its options. Raises `ConfigError`."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Linux doubles what is asked for, to account for its own overhead.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.outbox_bytes_max // 2)
        unsent = min(UNSENT_BYTES_MAX, settings.outbox_bytes_max)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent)
        sock.bind((settings.bind_host, settings.fanout_port))
        sock.setblocking(False)
    except OSError as e:
        sock.close()
        where = f"{settings.bind_host}:{settings.fanout_port}"
        in_use = e.errno == errno.EADDRINUSE
        detail = "in use" if in_use else (e.strerror or str(e))
        raise ConfigError(f"FANOUT_PORT: {where} is {detail}") from e
    return sock


@contextlib.asynccontextmanager
async def running(
    settings: Settings, sock: socket.socket, *, policy: Policy | None = None
) -> AsyncIterator[Fanout]:
    """Serve on `sock` until the block is left; then drain."""
    fanout = Fanout(settings, policy, Heartbeat.from_env())
    loop = asyncio.get_running_loop()
    await fanout.wire.start()
    if fanout.watch is not None:
        await fanout.watch.start()
    async with asyncio.TaskGroup() as tasks:
        parts = [
            tasks.create_task(fanout.subscriptions.run(), name="subscriptions"),
            tasks.create_task(fanout.probe.run(), name="probe"),
            tasks.create_task(fanout.feed.run(), name="feed"),
            tasks.create_task(fanout.keep_turning(), name="wheel"),
            tasks.create_task(fanout.guests.run(), name="guests"),
        ]
        server = await aiofastnet.create_server(
            loop, fanout.door.connection, sock=sock, backlog=LISTEN_BACKLOG
        )
        try:
            yield fanout
        finally:
            server.close()
            fanout.door.close()
            await drain(fanout.sessions, settings.drain_timeout_s * 0.8)
            fanout.door.forget_gone()
            for part in parts:
                part.cancel()
    if fanout.watch is not None:
        await fanout.watch.stop()
    await fanout.wire.close()
    gauges = fanout.gauges()
    _log.info("stopped", left={name: n for name, n in gauges.items() if n})


async def _serve(settings: Settings, sock: socket.socket) -> None:
    stop = asyncio.Event()
    set_on_stop(asyncio.get_running_loop(), stop)
    async with running(settings, sock):
        _log.info("listening", host=settings.bind_host, port=settings.fanout_port)
        await stop.wait()


def sessions_max(settings: Settings) -> int:
    """Sockets this process can hold: those promised, or as many files as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.fanout_connections_max + FILES_SPARE
    if soft >= wanted:
        return settings.fanout_connections_max
    if hard != resource.RLIM_INFINITY and hard < wanted:
        # Only root may raise it further; others get a 503 at the door instead of EMFILE.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return settings.fanout_connections_max
        _log.warning("files.few", allowed=hard, wanted=wanted, hint="ulimit -n")
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, wanted - FILES_SPARE)


def run(settings: Settings) -> int:
    """Run the role until a stop signal; its exit status."""
    if settings.fanout_workers == 1:
        return run_worker(settings)
    die_with_parent()
    log.configure("fanout", settings.log_level)
    try:
        # Workers share the port with whoever asks; another stack must be noticed here.
        listen(settings, shared=False).close()
    except ConfigError as e:
        return _refuse(e)
    return supervise(settings)


def run_worker(settings: Settings) -> int:
    """Serve in this process until a stop signal; the exit status."""
    die_with_parent()
    log.configure("fanout", settings.log_level)
    try:
        sock = listen(settings, shared=settings.fanout_workers > 1)
    except ConfigError as e:
        return _refuse(e)
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(_serve(settings, sock))
    return 0


def _refuse(error: ConfigError) -> int:
    print(f"fanout: {error}", file=sys.stderr)  # noqa: T201
    return EXIT_CONFIG
