"""Which shards a host runs, where several share them. Pure.

Every host looks at the same facts, who there is and who holds what, and comes to the same plan;
so nobody leads. A plan moves no shard that need not move: what is held stays until a host has two
more than another. A host gives away what the plan gives to another, a few at a time, and takes what
is free and planned for it. It never takes what is held, so two views that differ for a moment
cost a detour at worst: the lease decides.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

# Shards that change hands at a time, as a share of all: each has no writer for some tenths of a
# second, and what lags behind then catches up before the next go.
MOVING_SHARE = 8


@dataclass(frozen=True, slots=True)
class HostTerms:
    """What a host says of itself. `only`: the shards that it may run; None: all."""

    only: frozenset[int] | None = None
    # Whether it is to hand over all it has.
    drained: bool = False

    def may_run(self, shard: int) -> bool:
        """Whether the shard is among those that it may run."""
        return self.only is None or shard in self.only


@dataclass(frozen=True, slots=True)
class Sharing:
    """The facts of one moment. `owners`: shard → the host whose lease is on it, living or not.

    While the number of shards changes `shards` are those of both layouts, and `numbers` what each
    is called in its own: hosts say that of the shards that they may run.
    """

    hosts: Mapping[str, HostTerms]
    owners: Mapping[int, str]
    shards: int
    numbers: tuple[int, ...] = ()

    def may_run(self, host: str, shard: int) -> bool:
        """Whether the shard is among those that a host may run."""
        return self.hosts[host].may_run(self.numbers[shard] if self.numbers else shard)


def plan(facts: Sharing) -> dict[int, str]:
    """Shard → the host that should have it. None for what a host holds that is not among them."""
    eligible = _eligible(facts)
    planned: dict[int, str] = {}
    loads = dict.fromkeys(sorted(facts.hosts), 0)
    homeless = []
    for shard, hosts in eligible.items():
        owner = facts.owners.get(shard)
        if owner in hosts:
            planned[shard] = owner
            loads[owner] += 1
        elif hosts and (owner is None or owner in facts.hosts):
            homeless.append(shard)
    # Those that few may run choose first.
    for shard in sorted(homeless, key=lambda shard: (len(eligible[shard]), shard)):
        host = min(eligible[shard], key=lambda host: (loads[host], host))
        planned[shard] = host
        loads[host] += 1
    _level(planned, loads, eligible, movable_first=frozenset(homeless))
    return planned


def _eligible(facts: Sharing) -> dict[int, list[str]]:
    """Shard → hosts that may run it; those that hand over only where there is no other."""
    names = sorted(facts.hosts)
    # Usually all that stay may run all.
    staying = [name for name in names if not facts.hosts[name].drained]
    if staying and all(facts.hosts[name].only is None for name in names):
        return dict.fromkeys(range(facts.shards), staying)
    eligible = {}
    for shard in range(facts.shards):
        may = [name for name in names if facts.may_run(name, shard)]
        eligible[shard] = [name for name in may if not facts.hosts[name].drained] or may
    return eligible


def _level(
    planned: dict[int, str],
    loads: dict[str, int],
    eligible: Mapping[int, Collection[str]],
    *,
    movable_first: Collection[int],
) -> None:
    """Move shards until no host has two more than one that could have them instead."""
    while (moves := _moves(planned, loads, eligible, movable_first)) is not None:
        for shard, host in moves:
            loads[planned[shard]] -= 1
            planned[shard] = host
            loads[host] += 1


def _moves(
    planned: Mapping[int, str],
    loads: Mapping[str, int],
    eligible: Mapping[int, Collection[str]],
    movable_first: Collection[int],
) -> list[tuple[int, str]] | None:
    """Moves that take one shard from a host to one that has two fewer: direct, or by others.

    A host that may run what the fullest has may be full itself, and pass on something else.
    """
    held: dict[str, list[int]] = {}
    for shard in sorted(planned, key=lambda shard: (shard not in movable_first, -shard)):
        held.setdefault(planned[shard], []).append(shard)
    least = min(loads.values(), default=0)
    for full in sorted(loads, key=lambda host: (-loads[host], host)):
        if loads[full] - least < 2:
            return None
        ways = _ways(full, held, eligible)
        empty = min(ways, key=lambda host: (loads[host], host))
        if loads[full] - loads[empty] >= 2:
            moves = []
            while empty != full:
                shard, before = ways[empty]
                moves.append((shard, empty))
                empty = before
            return moves
    return None


def _ways(
    start: str, held: Mapping[str, Iterable[int]], eligible: Mapping[int, Collection[str]]
) -> dict[str, tuple[int, str]]:
    """Host → the shard that could come to it, and from whom; for all that `start` can reach."""
    ways: dict[str, tuple[int, str]] = {start: (-1, start)}
    waiting = deque([start])
    while waiting:
        host = waiting.popleft()
        for shard in held.get(host, ()):
            for other in eligible[shard]:
                if other not in ways:
                    ways[other] = (shard, host)
                    waiting.append(other)
    return ways


def share(facts: Sharing, me: str, running: Collection[int]) -> frozenset[int]:
    """The shards that host `me` runs from now on. `running`: what it was told before."""
    planned = plan(facts)
    wanted = {shard for shard, host in planned.items() if host == me}
    mine = {shard for shard, owner in facts.owners.items() if owner == me}
    # What was given up stays so; it is held until its worker has settled what is in hand.
    going = (mine & set(running)) - wanted
    moving = {
        shard
        for shard, host in planned.items()
        if host != me and facts.owners.get(shard, me) == me and shard not in going
    }
    most = max(1, facts.shards // MOVING_SHARE)
    given = sorted(going)[: max(0, most - len(moving))]
    free = {shard for shard in wanted if shard not in facts.owners}
    return frozenset((wanted & mine) | free | (going - set(given)))


def is_settled(facts: Sharing) -> bool:
    """Whether every shard is where it should be: nothing is about to change hands."""
    planned = plan(facts)
    return len(planned) == facts.shards and all(
        facts.owners.get(shard) == host for shard, host in planned.items()
    )
