"""The parts of one fan-out process, put together. Nothing here runs or listens."""

import asyncio
import os

from common.access.address import FrontDoors
from common.access.gate import Gate, open_gate
from common.access.local_rule import LocalRule
from common.access.watch import AccessWatch
from common.processes.heartbeat import Heartbeat
from common.redis.nodes import Nodes
from common.redis.opening import new_nodes
from common.redis.place import parse_place
from common.settings import Settings
from common.settings.lists import parse_hosts, parse_networks, parse_origins
from common.shards import Shards
from common.trace import Tracing
from fanout.door.access import AccessPolicy
from fanout.door.browser_rule import BrowserRule
from fanout.door.connection import Connections
from fanout.door.handshake import Handshake
from fanout.door.health import HealthPage
from fanout.door.policy import Policy
from fanout.door.watches import SessionFactory
from fanout.events.feed import EventFeed
from fanout.fleet.feed import FleetFeed
from fanout.listening import sessions_max
from fanout.orders.bridge_opening import BridgeOpening
from fanout.orders.frame_counts import FrameCounts
from fanout.orders.snapshots import Snapshots
from fanout.orders.subscriptions import Subscriptions
from fanout.probe import Probe
from fanout.sockets.counts import FanoutCounts
from fanout.sockets.places import Places, SocketLimits
from fanout.sockets.sessions import Sessions
from fanout.sockets.token_sessions import TokenSessions
from fanout.tuning import Tuning


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
        reply_timeout_s = tuning.reply_timeout_s
        nodes = self.nodes = new_nodes(
            settings.redis_url, reply_timeout_s=reply_timeout_s, name=name
        )
        gate = open_gate(settings)
        self.with_token = TokenSessions() if gate is None else TokenSessions(gate.is_revoked)
        self.watch = None if gate is None else AccessWatch(nodes, gate, self.with_token.recheck)
        self.subscriptions = self._new_subscriptions(tuning, nodes, name)
        self.places = Places(socket_limits(settings), self.subscriptions.hub.watchers_of)
        self.sessions = Sessions(
            self.counts,
            self.places,
            self.with_token,
            ping_interval_s=tuning.ping_interval_s,
            pong_timeout_s=tuning.pong_timeout_s,
            stall_max_s=tuning.stall_max_s,
        )
        self.probe = Probe(
            nodes,
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
            unread_max_s=tuning.unread_max_s,
        )
        self.events = EventFeed(self.subscriptions)
        self.connections = Connections(
            self._handshake(policy or access_policy(settings, gate), tuning).decide,
            self.counts,
            doors=front_doors(settings),
            timeout_s=tuning.handshake_timeout_s,
            message_bytes_max=tuning.inbound_bytes_max,
        )

    def _new_subscriptions(self, tuning: Tuning, nodes: Nodes, name: str) -> Subscriptions:
        shown, reply_timeout_s = FrameCounts(), tuning.reply_timeout_s
        opening = BridgeOpening(
            parse_place(self.settings.redis_url),
            name=f"{name}-pubsub",
            reply_timeout_s=reply_timeout_s,
            look=shown.look,
        )
        return Subscriptions(
            opening.connect_to,
            Snapshots(nodes, ttl_s=self.settings.location_ttl).refresh,
            self.counts,
            reply_timeout_s=reply_timeout_s,
            linger_s=tuning.linger_s,
            unread_max_s=tuning.unread_max_s,
            cluster=nodes if nodes.is_cluster else None,
            shown=shown,
            tracing=Tracing(self.settings.trace_sample),
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
                self.events,
                inbound_bytes_max=tuning.inbound_bytes_max,
            ),
            health=HealthPage(
                lambda: self.probe.delivering and not self.places.draining,
                # What is going on here is for operators; strangers reach this port too.
                self.shown_gauges if self.settings.auth == "off" else None,
            ),
            doors=front_doors(self.settings),
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
            "event_readers": len(self.events.readers),
            "channels": len(self.subscriptions.hub.channels),
            "full": len(self.sessions.full),
        }

    def gauges(self) -> dict[str, int]:
        """What is there now. All zero once everybody has gone."""
        return {
            "sessions": len(self.sessions.open),
            "with_token": len(self.with_token.sessions),
            "places": self.places.taken + len(self.places.held),
            "full": len(self.sessions.full),
            "ending": len(self.sessions.ending),
            "handshakes": len(self.connections.open) + len(self.connections.by_peer),
            "operators": len(self.feed.operators),
            "event_readers": len(self.events.readers),
            "watched": sum(c.watched for c in self.subscriptions.hub.channels.values()),
        }


def front_doors(settings: Settings) -> FrontDoors:
    """Who says whose connection it is."""
    return FrontDoors(parse_networks("FRONT_DOORS", settings.front_doors))


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


def socket_limits(settings: Settings) -> SocketLimits:
    """How many sockets this process may have."""
    return SocketLimits(
        process=sessions_max(settings),
        per_token=settings.sockets_per_token_max,
        per_order=settings.sockets_per_order_max,
        per_address=settings.fanout_connections_per_address_max,
    )
