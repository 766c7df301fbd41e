"""Makes a Redis Cluster of servers that know nothing of each other, and sees that one is whole.

The supervisor asks, so nothing here waits longer than it says, and no client library is needed.
https://valkey.io/topics/cluster-tutorial/
"""

import contextlib
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis

from common.errors import FleetlineError, words_of
from common.slots import SLOTS

TIMEOUT_S = 2.0
# Nodes find each other, elect and copy within two seconds on one machine.
FORMED_WITHIN_S = 30.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class ClusterNode:
    """A node on this machine: the port of its clients, and that of the other nodes."""

    port: int
    bus_port: int
    host: str = "127.0.0.1"


class _Asked:
    """One connection to a node."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._reader = hiredis.Reader()

    def __call__(self, *command: str | int) -> Any:
        """The reply. Raises `OSError`, and `FleetlineError` for an error reply."""
        self._sock.sendall(hiredis.pack_command(command))  # type: ignore[arg-type]
        while (reply := self._reader.gets()) is False:
            data = self._sock.recv(65_536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise FleetlineError(f"the cluster cannot be formed: {reply}")
        return reply


@contextlib.contextmanager
def asking(node: ClusterNode, password: str) -> Iterator[_Asked]:
    """A connection for the block. Raises `OSError`."""
    with socket.create_connection((node.host, node.port), TIMEOUT_S) as sock:
        sock.settimeout(TIMEOUT_S)
        ask = _Asked(sock)
        if password:
            ask("AUTH", password)
        yield ask


@dataclass(frozen=True, slots=True)
class _View:
    """What a node says of itself, and how much it knows of the others."""

    node_id: str
    primary: str
    has_slots: bool
    epoch: int
    assigned: int
    known: int
    is_whole: bool


def form_cluster(nodes: Sequence[ClusterNode], primaries: int, password: str = "") -> None:
    """Make a cluster of `nodes`, the first of which are primaries, unless they are one already.

    Returns once it takes writes and each replica follows. Raises `FleetlineError`.
    """
    deadline_s = time.monotonic() + FORMED_WITHIN_S
    while not advance_forming(nodes, primaries, password):
        if time.monotonic() > deadline_s:
            raise FleetlineError("the cluster cannot be formed: its nodes do not come together")
        time.sleep(_LOOK_EVERY_S)


def advance_forming(nodes: Sequence[ClusterNode], primaries: int, password: str = "") -> bool:
    """Do what is missing for `form_cluster`, from wherever an earlier run was cut off; whether
    nothing is. Raises `FleetlineError`.
    """
    try:
        with contextlib.ExitStack() as stack:
            asked = [stack.enter_context(asking(node, password)) for node in nodes]
            views = [_view(ask) for ask in asked]
            if all(view.assigned < SLOTS for view in views):
                _assign(asked[:primaries], views)
            if any(view.known != len(nodes) for view in views):
                if views[0].known < len(nodes):
                    for node in nodes[1:]:
                        asked[0]("CLUSTER", "MEET", node.host, node.port, node.bus_port)
                return False
            if any(view.assigned < SLOTS for view in views):
                return False
            _replicate(asked, views)
            return all(view.is_whole and (view.primary or view.has_slots) for view in views)
    except OSError as e:
        raise FleetlineError(f"the cluster cannot be formed: {words_of(e)}") from e


def _assign(asked: Sequence[_Asked], views: Sequence[_View]) -> None:
    """Give each primary that has none its slots."""
    for number, (ask, view) in enumerate(zip(asked, views, strict=False)):
        if view.has_slots or view.primary:
            continue
        if view.epoch == 0 and view.known == 1:
            ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        first = number * SLOTS // len(asked)
        ask("CLUSTER", "ADDSLOTSRANGE", first, (number + 1) * SLOTS // len(asked) - 1)


def _replicate(asked: Sequence[_Asked], views: Sequence[_View]) -> None:
    """Let each that has neither slots nor a primary follow the one with the fewest replicas."""
    replicas = {view.node_id: 0 for view in views if view.has_slots}
    for view in views:
        if view.primary in replicas:
            replicas[view.primary] += 1
    for ask, view in zip(asked, views, strict=True):
        if not view.has_slots and not view.primary:
            primary = min(replicas, key=lambda node_id: replicas[node_id])
            replicas[primary] += 1
            ask("CLUSTER", "REPLICATE", primary)


def _view(ask: _Asked) -> _View:
    lines = ask("CLUSTER", "INFO").decode().split("\r\n")
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    every = ask("CLUSTER", "NODES").decode().splitlines()
    node_id, _, _, primary, _, _, _, _, *slots = next(
        line.split() for line in every if "myself" in line.split()[2]
    )
    replication = ask("INFO", "replication")
    linked = b"role:master" in replication or b"master_link_status:up" in replication
    return _View(
        node_id=node_id,
        primary="" if primary == "-" else primary,
        has_slots=bool(slots),
        epoch=int(facts["cluster_my_epoch"]),
        assigned=int(facts["cluster_slots_assigned"]),
        known=int(facts["cluster_known_nodes"]),
        is_whole=linked and facts["cluster_state"] == "ok",
    )
