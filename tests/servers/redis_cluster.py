"""A Redis Cluster for tests: real nodes on free ports, gone with the test process."""

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from common.slots import slot_of
from deploy.servers.cluster_forming import ClusterNode, form_cluster
from deploy.servers.redis import NODE_OPTIONS
from tests.servers import RedisServer, free_port, last_number
from tests.servers.cluster_nodes import owner_of, read_nodes
from tests.wait import wait_until

PRIMARIES = 3
# Commands that each primary has to be told.
EVERYWHERE = {"FLUSHALL", "CONFIG", "ACL", "SCRIPT"}
_MOVED = re.compile(rb"-(?:MOVED|ASK) [0-9]+ [^:]*:([0-9]+)")


class RedisClusterServers:
    """Nodes that form a cluster; the first are its primaries at the start.

    What tests do to one server (`RedisServer`) they can do to this: then it is done to all.
    """

    def __init__(self, folder: Path, *, replicas: int) -> None:
        self.nodes: list[RedisServer] = []
        self._bus: list[int] = []
        for number in range(PRIMARIES * (1 + replicas)):
            home = folder / f"node-{number}"
            home.mkdir()
            bus = free_port()
            options = NODE_OPTIONS | {"cluster-port": str(bus), "cluster-node-timeout": "1500"}
            flags = [part for name, value in options.items() for part in (f"--{name}", value)]
            self.nodes.append(RedisServer(home, *flags))
            self._bus.append(bus)
        hosts = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        self.url = f"redis+cluster://{hosts}"

    @property
    def pids(self) -> Sequence[int]:
        """Of the nodes that run."""
        return [node.pid for node in self.nodes if node.runs]

    def bus_of(self, node: RedisServer) -> int:
        """The port at which the other nodes reach it."""
        return self._bus[self.nodes.index(node)]

    def start_bare(self) -> None:
        """Start all nodes, each for itself."""
        for node in self.nodes:
            if not node.runs:
                node.start()

    def start(self) -> None:
        """Start all nodes, and have them form a cluster."""
        self.start_bare()
        formed = [ClusterNode(n.port, b) for n, b in zip(self.nodes, self._bus, strict=True)]
        form_cluster(formed, PRIMARIES)

    def stop(self) -> None:
        """Stop all in order; their data stays."""
        for node in self.nodes:
            node.stop()

    def kill(self) -> None:
        """SIGKILL to all."""
        for node in self.nodes:
            node.kill()

    def freeze(self) -> None:
        """SIGSTOP to all."""
        for node in self.nodes:
            node.freeze()

    def thaw(self) -> None:
        """SIGCONT to all."""
        for node in self.nodes:
            node.thaw()

    def each(self, *args: str | bytes) -> list[bytes]:
        """The reply of each primary."""
        return [node.command(*args) for node in self.primaries()]

    def subscribers(self, channel: str) -> int:
        """How many listen on a channel, at the primary that has it."""
        return last_number(self.owner(channel).command("PUBSUB", "SHARDNUMSUB", channel))

    def clear(self) -> None:
        """Forget all data; whole again, if it was not."""
        self.whole()
        self.command("FLUSHALL")

    def command(self, *args: str | bytes) -> bytes:
        """Send one command to the node that has its keys, or to each primary; the last reply."""
        if str(args[0]).upper() in EVERYWHERE:
            return self.each(*args)[-1]
        node = next(node for node in self.nodes if node.runs)
        for _ in range(5):
            reply = node.command(*args)
            moved = _MOVED.match(reply)
            if moved is None:
                return reply
            node = self.at(int(moved[1]))
        return reply

    def primaries(self) -> list[RedisServer]:
        """Those that are primaries now, as they say themselves."""
        running = [node for node in self.nodes if node.runs]
        return [node for node in running if b"role:master" in node.command("INFO", "replication")]

    def at(self, port: int) -> RedisServer:
        """The node of a port."""
        return next(node for node in self.nodes if node.port == port)

    def owner(self, key: str) -> RedisServer:
        """The primary that has a key, as some node says."""
        asked = next(node for node in self.nodes if node.runs)
        found = owner_of(slot_of(key), read_nodes(asked.command("CLUSTER", "NODES")))
        if found is None:
            raise LookupError(key)
        return self.at(found.port)

    def whole(self) -> None:
        """Start what is down, and wait until each primary has a replica again."""
        for node in self.nodes:
            if not node.runs:
                node.start()
        wait_until(self._is_whole, timeout_s=20, what="a whole cluster")

    def _is_whole(self) -> bool:
        if any(b"cluster_state:ok" not in n.command("CLUSTER", "INFO") for n in self.nodes):
            return False
        primaries = self.primaries()
        if len(primaries) != PRIMARIES:
            return False
        if len(self.nodes) == PRIMARIES:
            return True
        return all(b"state=online" in n.command("INFO", "replication") for n in primaries)


# What the Redis of a test is.
AnyRedis = RedisServer | RedisClusterServers


@contextlib.contextmanager
def redis_cluster(*, replicas: int = 0) -> Iterator[RedisClusterServers]:
    """A cluster for the block, of three primaries with so many replicas each."""
    with bare_nodes(replicas=replicas) as servers:
        servers.start()
        yield servers


@contextlib.contextmanager
def bare_nodes(*, replicas: int = 0) -> Iterator[RedisClusterServers]:
    """The nodes of a cluster for the block, which know nothing of each other."""
    with tempfile.TemporaryDirectory(prefix="fleetline-cluster-") as folder:
        servers = RedisClusterServers(Path(folder), replicas=replicas)
        try:
            servers.start_bare()
            yield servers
        finally:
            servers.kill()
