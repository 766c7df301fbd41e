"""What hosts share the shards by: who there is, on which terms, and who holds what. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What a host says of itself. `only`: the shards that it may run; None: all."""

    only: frozenset[int] | None = None
    # Whether it is to hand over all it has.
    drained: bool = False


@dataclass(frozen=True, slots=True)
class Sharing:
    """The facts of one moment. `owners`: shard → the host whose lease is on it, living or not."""

    hosts: Mapping[str, HostTerms]
    owners: Mapping[int, str]
    shards: int
