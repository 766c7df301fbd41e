"""Which host should have which shard. Pure.

A plan moves no shard that need not move: what is held stays until a host has two more than another.
It is a function of the facts, so that all who see the same have the same plan. It takes some
milliseconds also for the most hosts and shards that there may be, and under a second where each of
them says something else of the shards that it may run, as only somebody who forges hosts would.
"""

from bisect import insort
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heapreplace

from consumers.sharing.facts import Sharing


class _Choice:
    """Hosts that may run the same shards, in order."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self.hosts = tuple(hosts)
        self.members = frozenset(self.hosts)


def plan(facts: Sharing) -> dict[int, str]:
    """Shard → the host that should have it. None for what a host holds that is not among them."""
    choices = _choices(facts)
    planned: dict[int, str] = {}
    loads = dict.fromkeys(sorted(facts.hosts), 0)
    homeless = []
    for shard, choice in enumerate(choices):
        owner = facts.owners.get(shard)
        if owner in choice.members:
            planned[shard] = owner
            loads[owner] += 1
        elif choice.hosts and (owner is None or owner in facts.hosts):
            homeless.append(shard)
    _house(homeless, planned, loads, choices)
    # What has no home yet moves first: it costs nothing.
    order = _Order(frozenset(homeless))
    if len(set(choices)) == 1 and choices[0].hosts:
        _level_alike(planned, {host: loads[host] for host in choices[0].hosts}, order)
    else:
        _level(planned, loads, choices, order)
    return planned


class _Order:
    """In which order a host gives its shards: `first` of all, and later ones before earlier."""

    def __init__(self, first: Collection[int]) -> None:
        self._first = first

    def __call__(self, shard: int) -> tuple[bool, int]:
        return shard not in self._first, -shard

    def held(self, planned: Mapping[int, str]) -> dict[str, list[int]]:
        """Host → its shards, in this order."""
        held: dict[str, list[int]] = {}
        for shard in sorted(planned, key=self):
            held.setdefault(planned[shard], []).append(shard)
        return held


def _choices(facts: Sharing) -> list[_Choice]:
    """By shard, who may run it; those that hand over only where there is no other."""
    names = sorted(facts.hosts)
    terms = facts.hosts
    alike = [name for name in names if terms[name].only is None]
    chosen: dict[int, list[str]] = {}
    for name in names:
        for shard in terms[name].only or ():
            chosen.setdefault(shard, []).append(name)
    known: dict[tuple[str, ...], _Choice] = {}

    def choice_of(may: list[str]) -> _Choice:
        hosts = tuple(name for name in may if not terms[name].drained) or tuple(may)
        return known.setdefault(hosts, _Choice(hosts))

    usual = choice_of(alike)
    return [
        choice_of(sorted(alike + chosen[shard])) if shard in chosen else usual
        for shard in range(facts.shards)
    ]


def _house(
    homeless: Iterable[int],
    planned: dict[int, str],
    loads: dict[str, int],
    choices: Sequence[_Choice],
) -> None:
    """Give shards that have no host to those with the fewest."""
    heaps: dict[_Choice, list[tuple[int, str]]] = {}
    # Those that few may run choose first.
    for shard in sorted(homeless, key=lambda shard: (len(choices[shard].hosts), shard)):
        choice = choices[shard]
        if choice not in heaps:
            heaps[choice] = [(loads[host], host) for host in choice.hosts]
            heapify(heaps[choice])
        heap = heaps[choice]
        # Loads only grow here: what a heap knows is too little at worst.
        while heap[0][0] != loads[heap[0][1]]:
            heapreplace(heap, (loads[heap[0][1]], heap[0][1]))
        host = heap[0][1]
        planned[shard] = host
        loads[host] += 1


def _level_alike(planned: dict[int, str], loads: dict[str, int], order: _Order) -> None:
    """Move shards until no host has two more than another, where each may run all of them.

    As `_level`, of which this is the usual case: the first shard of the fullest to the emptiest.
    """
    held = order.held(planned)
    fullest = [(-load, host) for host, load in loads.items()]
    emptiest = [(load, host) for host, load in loads.items()]
    heapify(fullest)
    heapify(emptiest)
    # Who gives never takes later, nor the other way round: the heaps need not know of each other.
    while -fullest[0][0] - emptiest[0][0] >= 2:
        (more, full), (less, empty) = fullest[0], emptiest[0]
        planned[held[full].pop(0)] = empty
        heapreplace(fullest, (more + 1, full))
        heapreplace(emptiest, (less + 1, empty))


def _level(
    planned: dict[int, str],
    loads: dict[str, int],
    choices: Sequence[_Choice],
    order: _Order,
) -> None:
    """Move shards until no host has two more than one that could have them instead.

    Each time from a host to one that has two fewer: direct, or by others. A host that may run what
    the fullest has may be full itself, and pass on something else.
    """
    held = order.held(planned)
    reachable = frozenset().union(*(choice.members for choice in set(choices)))
    candidates = dict(loads)
    while candidates:
        full = min(candidates, key=lambda host: (-candidates[host], host))
        if candidates.pop(full) - min(loads.values()) < 2:
            return
        ways = _ways(full, held, choices, reachable)
        empty = min(ways, key=lambda host: (loads[host], host))
        if loads[full] - loads[empty] < 2:
            continue
        while empty != full:
            shard, before = ways[empty]
            held[before].remove(shard)
            insort(held.setdefault(empty, []), shard, key=order)
            planned[shard] = empty
            loads[before] -= 1
            loads[empty] += 1
            empty = before
        candidates = dict(loads)


def _ways(
    start: str,
    held: Mapping[str, Iterable[int]],
    choices: Sequence[_Choice],
    reachable: frozenset[str],
) -> dict[str, tuple[int, str]]:
    """Host → the shard that could come to it, and from whom; for all that `start` can reach."""
    ways: dict[str, tuple[int, str]] = {start: (-1, start)}
    left = len(reachable - {start})
    waiting, seen = deque([start]), set()
    while waiting and left:
        host = waiting.popleft()
        for shard in held.get(host, ()):
            if choices[shard] in seen:
                continue
            seen.add(choices[shard])
            for other in choices[shard].hosts:
                if other not in ways:
                    ways[other] = (shard, host)
                    waiting.append(other)
                    left -= 1
    return ways
