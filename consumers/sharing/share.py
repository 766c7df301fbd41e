"""Which shards a host runs, where several share them. Pure.

Every host looks at the same facts, who there is and who holds what, and comes to the same plan;
so nobody leads. A host gives away what the plan gives to another, a few at a time, and takes what
is free and planned for it. It never takes what is held, so two views that differ for a moment
cost a detour at worst: the lease decides.
"""

from collections.abc import Collection, Mapping

from consumers.sharing.facts import Sharing
from consumers.sharing.plan import plan

# Shards that change hands at a time, as a share of all: each has no writer for some tenths of a
# second, and what lags behind then catches up before the next go.
MOVING_SHARE = 8


def share(
    facts: Sharing, me: str, running: Collection[int], planned: Mapping[int, str] | None = None
) -> frozenset[int]:
    """The shards that host `me` runs from now on. `running`: what it was told before.

    `planned`: the plan for these facts, where it is known.
    """
    planned = plan(facts) if planned is None else planned
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


def is_settled(facts: Sharing, planned: Mapping[int, str] | None = None) -> bool:
    """Whether every shard is where it should be: nothing is about to change hands."""
    planned = plan(facts) if planned is None else planned
    return len(planned) == facts.shards and all(
        facts.owners.get(shard) == host for shard, host in planned.items()
    )
