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
from functools import partial
from typing import Final

import aiofastnet
import uvloop

from common import log
from common.access.gate import Gate, open_gate
from common.access.local_rule import LocalRule, parse_hosts
from common.access.origin import parse_origins
from common.access.watch import AccessWatch
from common.errors import EXIT_CONFIG, ConfigError
from common.processes.background import Background, Crashed, end_process
from common.processes.heartbeat import Heartbeat
from common.processes.process import die_with_parent
from common.processes.signals import set_on_stop
from common.redis.nodes import Nodes
from common.redis.url import parse_redis_url
from common.redis.wire import Wire
from common.settings import Settings
from common.shards import Shards
from fanout.counts import FanoutCounts
from fanout.fleet.feed import FleetFeed
from fanout.health import HealthPage
from fanout.orders.bridge import open_bridge
from fanout.orders.snapshots import Snapshots
from fanout.orders.subscriptions import Subscriptions
from fanout.probe import Probe
from fanout.sockets.access import AccessPolicy
from fanout.sockets.browser_rule import BrowserRule
from fanout.sockets.connection import Connections
from fanout.sockets.drain import drain
from fanout.sockets.handshake import Handshake
from fanout.sockets.places import Places, SocketLimits
from fanout.sockets.policy import Policy
from fanout.sockets.session import UNSENT_BYTES_MAX
from fanout.sockets.sessions import Sessions
from fanout.sockets.token_sessions import TokenSessions
from fanout.sockets.watchers import SessionFactory
from fanout.tuning import Tuning
from fanout.workers import supervise

# Handshakes that wait in the kernel: a whole deploy's worth of clients comes back at once.
LISTEN_BACKLOG: Final = 4_096
# What one process needs besides its sockets.
FILES_SPARE: Final = 256
# Sessions are long-lived: looking through all of them every 700 allocations stalls the loop.
GC_THRESHOLDS: Final = (50_000, 20, 50)
# Linux' option number; Python 3.11 does not name it.
TCP_NOTSENT_LOWAT: Final = 25

TUNING: Final = Tuning()

_log = log.get("fanout")


class Fanout:
    """All parts of one process. Use `running` to have them run."""

    def __init__(
        self,
        settings: Settings,
        tuning: Tuning,
        *,
        policy: Policy | None = None,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self.settings = settings
        self.counts = FanoutCounts()
        self._heartbeat = heartbeat or Heartbeat(None)
        name = f"fanout-{os.getpid()}"
        reply_timeout_s = settings.redis_reply_timeout_s
        self.wire = Wire(settings.redis_url, reply_timeout_s=reply_timeout_s, name=name)
        nodes = Nodes(self.wire)
        gate = open_gate(settings)
        self.with_token = TokenSessions() if gate is None else TokenSessions(gate.is_revoked)
        self.watch = None if gate is None else AccessWatch(self.wire, gate, self.with_token.recheck)
        self.places = Places(socket_limits(settings))
        self.sessions = Sessions(
            self.counts,
            self.places,
            self.with_token,
            ping_interval_s=tuning.ping_interval_s,
            pong_timeout_s=tuning.pong_timeout_s,
            stall_max_s=tuning.stall_max_s,
        )
        url = parse_redis_url(settings.redis_url)
        self.subscriptions = Subscriptions(
            partial(open_bridge, url, name=f"{name}-pubsub", reply_timeout_s=reply_timeout_s),
            Snapshots(nodes, ttl_s=settings.location_ttl).refresh,
            self.counts,
            reply_timeout_s=reply_timeout_s,
            linger_s=tuning.linger_s,
        )
        self.probe = Probe(
            self.wire,
            self.subscriptions,
            self.counts,
            interval_s=tuning.probe_interval_s,
            reply_timeout_s=reply_timeout_s,
        )
        self.feed = FleetFeed(
            Shards(settings.stream_name, settings.shards),
            nodes,
            self.subscriptions,
            self.counts,
            ttl_s=settings.location_ttl,
        )
        self.connections = Connections(
            self._handshake(policy or access_policy(settings, gate), tuning).decide,
            self.counts,
            timeout_s=tuning.handshake_timeout_s,
            message_bytes_max=tuning.inbound_bytes_max,
        )

    def _handshake(self, policy: Policy, tuning: Tuning) -> Handshake:
        return Handshake(
            browsers=browser_rule(self.settings),
            policy=policy,
            places=self.places,
            sessions=SessionFactory(
                self.sessions,
                self.subscriptions,
                self.feed,
                inbound_bytes_max=tuning.inbound_bytes_max,
            ),
            health=HealthPage(
                lambda: self.probe.delivering and not self.places.draining,
                # What is going on here is for operators; strangers reach this port too.
                self.shown_gauges if self.settings.auth == "off" else None,
            ),
        )

    async def keep_ticking(self) -> None:
        """Turn the sessions' wheel; that it turns is the process' sign of life."""
        while True:
            await asyncio.sleep(self.sessions.tick_s)
            self.sessions.tick()
            self._heartbeat.beat()

    def shown_gauges(self) -> dict[str, int]:
        """What the health page shows."""
        return {
            "sessions": len(self.sessions.open),
            "operators": len(self.feed.operators),
            "channels": len(self.subscriptions.hub.channels),
            "full": len(self.sessions.full),
        }

    def gauges(self) -> dict[str, int]:
        """What is there now. All zero once everybody has gone."""
        return {
            "sessions": len(self.sessions.open),
            "with_token": len(self.with_token.sessions),
            "places": self.places.taken + len(self.places.counts),
            "full": len(self.sessions.full),
            "ending": len(self.sessions.ending),
            "handshakes": len(self.connections.open) + len(self.connections.by_peer),
            "operators": len(self.feed.operators),
            "watched": sum(c.watched for c in self.subscriptions.hub.channels.values()),
        }


def browser_rule(settings: Settings) -> BrowserRule:
    """Which pages may watch."""
    origins = parse_origins("WS_ORIGINS", settings.ws_origins)
    hosts = parse_hosts("ALLOWED_HOSTS", settings.allowed_hosts)
    local = LocalRule(hosts, origins) if settings.auth == "off" else None
    return BrowserRule(frozenset(origins), local)


def access_policy(settings: Settings, gate: Gate | None) -> AccessPolicy:
    """Who may watch, and how often it may be tried."""
    return AccessPolicy(
        gate,
        handshakes=settings.handshakes_per_token_max,
        refusals=settings.refusals_per_address_max,
    )


def listen(settings: Settings, outbox_bytes_max: int, *, shared: bool = False) -> socket.socket:
    """The listening socket; accepted ones inherit its options. Raises `ConfigError`."""
    family = socket.AF_INET6 if ":" in settings.bind_host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Linux doubles what is asked for, to account for its own overhead.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, outbox_bytes_max // 2)
        unsent = min(UNSENT_BYTES_MAX, outbox_bytes_max)
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
    settings: Settings,
    sock: socket.socket,
    *,
    policy: Policy | None = None,
    tuning: Tuning = TUNING,
    crashed: Crashed = end_process,
) -> AsyncIterator[Fanout]:
    """Serve on `sock` until the block is left; then drain, and stop all parts.

    `crashed` is told of a part that failed: the process then ends, and another is started.
    """
    fanout = Fanout(settings, tuning, policy=policy, heartbeat=Heartbeat.from_env())
    async with contextlib.AsyncExitStack() as stack:
        await fanout.wire.start()
        stack.push_async_callback(fanout.wire.close)
        if fanout.watch is not None:
            await fanout.watch.start()
            stack.push_async_callback(fanout.watch.stop)
        background = Background(_log, crashed=crashed)
        stack.push_async_callback(background.close)
        background.run(fanout.subscriptions.run(), name="subscriptions")
        background.run(fanout.probe.run(), name="probe")
        background.run(fanout.feed.run(), name="feed")
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
    async with running(settings, sock, tuning=tuning):
        _log.info("listening", host=settings.bind_host, port=settings.fanout_port)
        await stop.wait()


def socket_limits(settings: Settings) -> SocketLimits:
    """How many sockets this process may have."""
    return SocketLimits(
        process=sessions_max(settings),
        per_token=settings.sockets_per_token_max,
        per_order=settings.sockets_per_order_max,
        per_address=settings.fanout_connections_per_address_max,
    )


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
        listen(settings, TUNING.outbox_bytes_max).close()
    except ConfigError as e:
        return _refuse(e)
    return supervise(settings)


def run_worker(settings: Settings) -> int:
    """Serve in this process until a stop signal; the exit status."""
    die_with_parent()
    log.configure("fanout", settings.log_level)
    try:
        sock = listen(settings, TUNING.outbox_bytes_max, shared=settings.fanout_workers > 1)
    except ConfigError as e:
        return _refuse(e)
    gc.set_threshold(*GC_THRESHOLDS)
    uvloop.run(serve(settings, sock))
    return 0


def _refuse(error: ConfigError) -> int:
    print(f"fanout: {error}", file=sys.stderr)  # noqa: T201
    return EXIT_CONFIG
