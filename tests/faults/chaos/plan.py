"""The plan: what is done to the stack and when, all of it from the seed. Pure.

Steps come from a shuffled deck that is dealt out before it is shuffled again: a short round has
some of everything.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

# (verb, target): `kill` is SIGKILL, `freeze` SIGSTOP and later SIGCONT, `term` SIGTERM, `cut` ends
# all connections to a server, `fill` leaves Redis no memory for a while.
Card = tuple[str, str]
DECK: tuple[Card, ...] = (
    *(("kill", "consumer"),) * 3,
    ("kill", "consumers"),
    ("kill", "ingest"),
    ("kill", "ingest-worker"),
    ("kill", "fanout"),
    ("kill", "gateway"),
    ("kill", "redis"),
    ("kill", "postgres"),
    ("kill", "up"),
    ("freeze", "consumer"),
    ("freeze", "consumers"),
    ("freeze", "ingest-worker"),
    ("freeze", "fanout"),
    ("freeze", "redis"),
    ("freeze", "postgres"),
    ("term", "consumer"),
    ("term", "ingest-worker"),
    ("cut", "redis"),
    ("cut", "postgres"),
    ("fill", "redis"),
)
# The same for a cluster, whose primaries are what "redis" names: the one that has the step's shard.
# `lose` is SIGKILL of one whose machine stays away until its replica took over, after `kill` it is
# back before that. `move` gives the slots of a shard and of an order to another primary.
CLUSTER_DECK: tuple[Card, ...] = (
    *DECK,
    *(("lose", "redis"),) * 3,
    ("move", "redis"),
    ("kill", "replica"),
    ("freeze", "replica"),
)
# Beyond the heartbeat's timeout of the stack under test, so that some frozen ones are replaced.
FREEZE_MAX_S = 8.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing done, `at_s` after the start; what lasts is undone after `for_s`."""

    at_s: float
    verb: str
    target: str
    shard: int
    for_s: float


def make_plan(
    seed: int,
    seconds: float,
    shards: int,
    *,
    pause_s: tuple[float, float] = (1.0, 4.0),
    cards: Sequence[Card] = DECK,
) -> list[Step]:
    """Steps for a round of that length; the same arguments give the same plan."""
    rng = random.Random(seed)
    steps: list[Step] = []
    deck: list[Card] = []
    at_s = rng.uniform(*pause_s)
    while at_s < seconds:
        if not deck:
            deck = rng.sample(cards, len(cards))
        verb, target = deck.pop()
        for_s = round(rng.uniform(0.3, FREEZE_MAX_S if verb == "freeze" else 3.0), 1)
        steps.append(Step(round(at_s, 1), verb, target, rng.randrange(shards), for_s))
        at_s += rng.uniform(*pause_s)
    return steps
