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


def form_cluster(nodes: Sequence[ClusterNode], primaries: int, password: str = "") -> None:
    """Make a cluster of `nodes`, the first of which are primaries, unless they are one already.

    Returns once it takes writes and each replica follows. Raises `FleetlineError`.
    """
    try:
        with contextlib.ExitStack() as stack:
            asked = [stack.enter_context(asking(node, password)) for node in nodes]
            if facts_of(asked[0])["cluster_slots_assigned"] != str(SLOTS):
                _introduce(nodes, asked, primaries)
            _await(lambda: all(map(_is_whole, asked)), "a cluster that takes writes")
    except OSError as e:
        raise FleetlineError(f"the cluster cannot be formed: {words_of(e)}") from e


def _introduce(nodes: Sequence[ClusterNode], asked: Sequence[_Asked], primaries: int) -> None:
    for number, ask in enumerate(asked[:primaries]):
        ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        first, last = number * SLOTS // primaries, (number + 1) * SLOTS // primaries - 1
        ask("CLUSTER", "ADDSLOTSRANGE", first, last)
    for node in nodes[1:]:
        asked[0]("CLUSTER", "MEET", node.host, node.port, node.bus_port)
    _await(
        lambda: all(facts_of(ask)["cluster_known_nodes"] == str(len(nodes)) for ask in asked),
        "nodes that know each other",
    )
    for number, ask in enumerate(asked[primaries:]):
        ask("CLUSTER", "REPLICATE", asked[number % primaries]("CLUSTER", "MYID").decode())


def facts_of(ask: _Asked) -> dict[str, str]:
    """What CLUSTER INFO says."""
    lines = ask("CLUSTER", "INFO").decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _is_whole(ask: _Asked) -> bool:
    replication = ask("INFO", "replication")
    linked = b"role:master" in replication or b"master_link_status:up" in replication
    return linked and facts_of(ask)["cluster_state"] == "ok"


def _await(check: Any, what: str) -> None:
    deadline_s = time.monotonic() + FORMED_WITHIN_S
    while not check():
        if time.monotonic() > deadline_s:
            raise FleetlineError(f"the cluster cannot be formed: there is not {what}")
        time.sleep(_LOOK_EVERY_S)
