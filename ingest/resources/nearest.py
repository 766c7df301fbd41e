"""The nearest drivers over all shards, merged so that the number of shards does not show. Pure.

Each shard answers with its nearest `count`, by distance, ties in any order. A shard that gave
fewer has told all; one that gave `count` may have more at its last distance. So only what is
strictly nearer than every such last distance is certain, and certain ones sort by distance, then
by id. When too few are certain the shards are asked for more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Beyond it the projection of Redis' geohash ends; nothing there is indexed.
LATITUDE_MAX = 85.05112878

# (metres, driver id): sorts as the answer does.
Hit = tuple[float, str]


@dataclass(frozen=True, slots=True)
class Merged:
    """Hits whose place is certain, nearest first; `complete` when there are no others."""

    hits: list[Hit]
    complete: bool


def merge(answers: Sequence[Sequence[Hit]], count: int) -> Merged:
    """Merge what the shards answered when each was asked for its nearest `count`."""
    everything = sorted(hit for answer in answers for hit in answer)
    frontiers = [answer[-1][0] for answer in answers if len(answer) >= count]
    if not frontiers:
        return Merged(everything, complete=True)
    frontier = min(frontiers)
    return Merged([hit for hit in everything if hit[0] < frontier], complete=False)
