"""Three hosts with a Redis cluster over them, each of which can be cut off or lost.

On each host are a primary and the replica of another's. The first has one ingest for each value of
REPLICATION and consumers; the second the database, consumers, and an ingest for those who reach
it when the first is away.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from common.redis.client import new_async_client
from common.shards import Shards
from consumers.stream.holder import host_of
from deploy.servers.cluster_forming import ClusterNode, form_cluster
from deploy.servers.redis import NODE_OPTIONS
from tests.clients.commands import prepare
from tests.faults.chaos.evidence import Evidence, gather_evidence
from tests.roles.hosts import ConsumersHost
from tests.servers import RedisServer, free_port
from tests.servers.ingest_server import IngestServer
from tests.servers.network import Network
from tests.servers.proxy import Proxy
from tests.wait import until, wait_until

# One for each primary; that of the first host has shard 0.
SHARDS = Shards("driver-locations", 3)
STRUCK, OTHER = 1, 2
MODES = ("off", "auto", "strict")
# The ingest of the second host.
ELSEWHERE = "elsewhere"
# A failover takes the node timeout and an election; this machine does other things, too.
WITHIN_S = 30.0


class Node:
    """A server of the cluster, on its host."""

    def __init__(self, network: Network, host: int, folder: Path) -> None:
        self.host = host
        self._network = network
        folder.mkdir()
        address = network.address(host)
        with network.inside(host):
            bus = free_port()
            options = NODE_OPTIONS | {"cluster-port": str(bus), "cluster-node-timeout": "1500"}
            options |= {"cluster-announce-ip": address, "protected-mode": "no"}
            flags = [part for name, value in options.items() for part in (f"--{name}", value)]
            self.server = RedisServer(folder, *flags, "--bind", address, "127.0.0.1")
        self.known_as = ClusterNode(self.server.port, bus, address)

    def start(self) -> None:
        """Start it, again with its data if it ran before."""
        with self._network.inside(self.host):
            self.server.start()

    def ask(self, *command: str) -> bytes:
        """The reply to a command; empty where it does not run."""
        if self.server.runs:
            with self._network.inside(self.host), contextlib.suppress(OSError):
                return self.server.command(*command)
        return b""

    @property
    def is_primary(self) -> bool:
        """Whether it takes itself for one."""
        return b"role:master" in self.ask("INFO", "replication")


class Site:
    """All of it. `database_url` is where the hosts find the database."""

    def __init__(self, network: Network, folder: Path, database_url: str) -> None:
        self.network = network
        self.database_url = database_url
        # Primaries first; the replica of each is on the next host.
        places = [*network.hosts, *network.hosts[1:], network.hosts[0]]
        self.nodes = [Node(network, h, folder / f"node-{n}") for n, h in enumerate(places)]
        known = ",".join(f"{n.known_as.host}:{n.known_as.port}" for n in self.nodes)
        self.redis_url = f"redis+cluster://{known}"
        self._settings = {
            "REDIS_URL": self.redis_url, "SHARDS": str(len(SHARDS)), "LOG_LEVEL": "error",
        }  # fmt: skip
        self.ingests: dict[str, IngestServer] = {}
        self._consumers: list[ConsumersHost] = []
        # Ingests that were killed with their host.
        self._lost: tuple[str, ...] = ()

    @property
    def primary(self) -> Node:
        """The first host's, which has shard 0 while nothing happens."""
        return self.nodes[0]

    @property
    def replica(self) -> Node:
        """Its replica, elsewhere."""
        return self.nodes[len(self.network.hosts)]

    def start(self) -> None:
        """Start all of it."""
        for node in self.nodes:
            node.start()
        with self.network.inside(OTHER):
            form_cluster([node.known_as for node in self.nodes], len(self.network.hosts))
        self._start_ingests(*MODES, ELSEWHERE)
        for host in (STRUCK, OTHER):
            self._start_consumers(host)
        with self.network.inside(OTHER):
            asyncio.run(self._await_consumers())

    async def _await_consumers(self) -> None:
        """Wait until both hosts have shards, and nobody else does."""
        async with new_async_client(self.redis_url) as client:

            async def shared() -> bool:
                holders = [await client.get(shard.keys.consumer) for shard in SHARDS]
                return None not in holders and len({host_of(h) for h in holders}) == OTHER

            await until(shared, timeout_s=WITHIN_S, what="consumers on both hosts")

    def _start_consumers(self, host: int) -> None:
        extra = {"DATABASE_URL": self.database_url, "METRICS_PORT": "0", "INSIGHT": "off"}
        with self.network.inside(host):
            self._consumers.append(ConsumersHost(self._settings | extra))

    def _start_ingests(self, *names: str) -> None:
        for name in names:
            mode, host = (name, STRUCK) if name in MODES else ("auto", OTHER)
            with self.network.inside(host):
                self.ingests[name] = IngestServer(**self._settings, REPLICATION=mode)
                self.ingests[name].start()

    def close(self) -> None:
        """None of it is left."""
        for host in self._consumers:
            host.kill()
        for server in self.ingests.values():
            server.stop()
        for node in self.nodes:
            if node.server.runs:
                node.server.kill()

    def make_whole(self) -> None:
        """Start what was lost in a test before, and wait as `await_whole`."""
        for name in self._lost:
            self.ingests[name].stop()
        self._start_ingests(*self._lost)
        self._lost = ()
        self.await_whole()

    def await_whole(self) -> None:
        """Wait until each primary has a replica, and the first host's is one of them."""
        wait_until(self._is_whole, timeout_s=WITHIN_S, what="a whole cluster")
        if not self.primary.is_primary:
            self.primary.ask("CLUSTER", "FAILOVER")
            wait_until(lambda: self.primary.is_primary, timeout_s=WITHIN_S, what="the primary back")
            wait_until(self._is_whole, timeout_s=WITHIN_S, what="a whole cluster again")

    def _is_whole(self) -> bool:
        if any(b"cluster_state:ok" not in node.ask("CLUSTER", "INFO") for node in self.nodes):
            return False
        said = [node.ask("INFO", "replication") for node in self.nodes]
        primaries = [info for info in said if b"role:master" in info]
        replicas = [info for info in said if b"master_link_status:up" in info]
        followed = sum(b"state=online" in info for info in primaries)
        return len(primaries) == len(replicas) == followed == len(self.network.hosts)

    def restart(self, host: int) -> None:
        """Start the nodes and consumers of a host again; its ingests in the next test."""
        for node in self.nodes:
            if node.host == host:
                node.server.kill()
                node.start()
        self._start_consumers(host)
        self._lost = MODES

    def evidence(self) -> Evidence:
        """What is there once all that is in the streams is settled.

        What was answered 503 may be written a little later: it is asked for until nothing comes.
        """
        # It looks at nothing but where the servers are.
        here: Any = self
        found = Evidence(backlog=1)

        def is_settled() -> bool:
            nonlocal found
            found = asyncio.run(gather_evidence(here, len(SHARDS)))
            return not found.backlog and not found.pending

        with self.network.inside(OTHER):
            wait_until(is_settled, timeout_s=WITHIN_S, what="all in the streams to be stored")
        return found


@contextlib.contextmanager
def new_site(folder: Path, database_url: str) -> Iterator[Site]:
    """One for the block; `database_url` is where the database is outside of it."""
    prepare()
    with Network(3) as network:
        with network.inside(OTHER):
            listening = socket.create_server((network.address(OTHER), 0))
        # As a database does that was asked by those who connect (`common.databases.connecting`).
        for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 3), ("TCP_KEEPCNT", 3)):
            listening.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        port = listening.getsockname()[1]
        outside = urlsplit(database_url)
        inside = outside._replace(netloc=f"{outside.username}@{network.address(OTHER)}:{port}")
        with _relay(listening, outside.port or 5432):
            site = Site(network, folder, inside.geturl())
            try:
                site.start()
                yield site
            finally:
                site.close()


@contextlib.contextmanager
def _relay(listening: socket.socket, port: int) -> Iterator[None]:
    """What connects to a socket of a host is led to a port outside, for the block."""
    loop = asyncio.new_event_loop()
    proxy = Proxy("127.0.0.1", port)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(proxy.start(listening), loop).result(10)
        yield
    finally:
        asyncio.run_coroutine_threadsafe(proxy.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
