"""Hosts that say that they live and take nothing. Holds no clock.

A host may live and not run what is its own: it gets no more processes, it cannot reach the primary
of the shard, or it is no host and somebody has only written down that it is. Its shards would have
no writer for as long as it says that it lives. So it is passed over for a while: it keeps what it
has, and the others share the rest. All hosts see the same shards free for as long, and come to
that at about the same time; where they do not, the lease decides as always.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from consumers.sharing.facts import Sharing

# A worker takes its shard within a second of being told; many start at once on a slow machine.
TAKE_S = 20.0
# How long it is passed over at first, and at most: each time costs some shards `TAKE_S` without a
# writer, so that each time that it has taken nothing it is twice as long.
PASS_FIRST_S = 60.0
PASS_MAX_S = 3600.0


@dataclass(frozen=True, slots=True)
class _Pass:
    """A host is passed over, or was. `held`: how many shards it had then."""

    until_s: float
    lasts_s: float
    held: int


class IdleHosts:
    """What one host has seen of the others, and of itself, over time (monotonic seconds)."""

    def __init__(self) -> None:
        # Free shard → the host that should take it, and since when.
        self._free: dict[int, tuple[str, float]] = {}
        self._passes: dict[str, _Pass] = {}

    def judge(self, facts: Sharing, now_s: float) -> Sharing:
        """The facts to plan by: who is passed over may run what it has and nothing else."""
        held = _held(facts)
        for host, passed in list(self._passes.items()):
            if host not in facts.hosts or len(held[host]) > passed.held:
                del self._passes[host]
        idle = {host for host, passed in self._passes.items() if now_s < passed.until_s}
        others = [terms for host, terms in facts.hosts.items() if host not in idle]
        if not idle or not any(terms.only is None and not terms.drained for terms in others):
            # Nobody is sure to be able to run the rest.
            return facts
        limited = {
            host: replace(terms, only=frozenset(held[host])) if host in idle else terms
            for host, terms in facts.hosts.items()
        }
        return replace(facts, hosts=limited)

    def note(self, facts: Sharing, planned: Mapping[int, str], now_s: float) -> list[str]:
        """See what is free and whose it should be. Returns hosts that are passed over from now."""
        before, self._free = self._free, {}
        late: dict[str, float] = {}
        for shard, host in planned.items():
            if shard not in facts.owners:
                known, since_s = before.get(shard, (host, now_s))
                self._free[shard] = (host, since_s if known == host else now_s)
                late[host] = max(late.get(host, 0.0), now_s - self._free[shard][1])
        idle = sorted(host for host, waited_s in late.items() if waited_s >= TAKE_S)
        held = _held(facts)
        for host in idle:
            known_pass = self._passes.get(host)
            lasts_s = min(PASS_MAX_S, known_pass.lasts_s * 2) if known_pass else PASS_FIRST_S
            self._passes[host] = _Pass(now_s + lasts_s, lasts_s, len(held[host]))
        self._free = {s: free for s, free in self._free.items() if free[0] not in idle}
        return idle


def _held(facts: Sharing) -> dict[str, list[int]]:
    held: dict[str, list[int]] = {host: [] for host in facts.hosts}
    for shard, owner in facts.owners.items():
        if owner in held:
            held[owner].append(shard)
    return held
