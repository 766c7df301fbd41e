"""What hosts share the shards by: who there is, on which terms, and who holds what. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What a host says of itself. `only`: the shards that it may run; None: all."""

    only: frozenset[int] | None = None
    # Whether it is to hand over all it has.
    drained: bool = False

    def placed(self, places: Mapping[int, Sequence[int]]) -> "HostTerms":
        """The same, where `only` are numbers of shards, which have these places among all.

        While the number of shards changes there are two layouts of them, so a number may be in two.
        """
        if self.only is None:
            return self
        return replace(self, only=frozenset(p for n in self.only for p in places.get(n, ())))


@dataclass(frozen=True, slots=True)
class Sharing:
    """The facts of one moment. `owners`: shard → the host whose lease is on it, living or not."""

    hosts: Mapping[str, HostTerms]
    owners: Mapping[int, str]
    shards: int
