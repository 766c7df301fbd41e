"""What nodes of a Redis Cluster say in CLUSTER NODES. Pure.

https://valkey.io/commands/cluster-nodes/
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as some node knows it. `primary_id` is empty for a primary."""

    node_id: str
    port: int
    flags: frozenset[str]
    primary_id: str
    epoch: int
    slots: frozenset[int]

    @property
    def is_primary(self) -> bool:
        """Whether it takes writes, and nobody takes it for dead."""
        return "master" in self.flags and not self.flags & {"fail", "fail?", "noaddr"}


def read_nodes(text: bytes) -> list[KnownNode]:
    """All lines of a reply; what stands around them does not matter."""
    known = []
    for line in text.decode().splitlines():
        parts = line.split()
        if len(parts) < 8 or "@" not in parts[1]:
            continue
        port = int(parts[1].partition("@")[0].rpartition(":")[2])
        primary_id = "" if parts[3] == "-" else parts[3]
        flags = frozenset(parts[2].split(","))
        slots = frozenset(slot for span in parts[8:] for slot in _slots(span))
        known.append(KnownNode(parts[0], port, flags, primary_id, int(parts[6]), slots))
    return known


def _slots(span: str) -> range:
    if span.startswith("["):
        # On its way to or from another node.
        return range(0)
    first, _, last = span.partition("-")
    return range(int(first), int(last or first) + 1)


def owner_of(slot: int, known: list[KnownNode]) -> KnownNode | None:
    """The primary that has a slot; where several claim it, the one that was elected last."""
    claims = [node for node in known if node.is_primary and slot in node.slots]
    return max(claims, key=lambda node: node.epoch, default=None)
