"""How many fixes each shard may still take, counted down between two looks at Redis. Pure.

`Capacity` counts what this worker adds, and is corrected by each poll of what waits
(`backlog.py`). Fixes of other workers show at the poll.
"""

from collections.abc import Sequence

from common.errors import Overloaded
from ingest.intake.room import room_of


class Capacity:
    """Fixes that each shard may still take. Closed until it is first corrected."""

    def __init__(self, shards: int, fixes_max: int) -> None:
        self._fixes_max = fixes_max
        self._room = [0] * shards
        self._closed = "Redis has not been asked yet"

    @property
    def closed(self) -> str:
        """Why nothing is taken at all; empty when something is."""
        return self._closed

    def close(self, reason: str) -> None:
        """Take nothing until `correct`."""
        self._closed = reason
        self._room = [0] * len(self._room)

    def adopt(self, shards: int) -> None:
        """From now on there are so many, and they are new: all have room."""
        self._closed = ""
        self._room = [self._fixes_max] * shards

    def reserve(self, shard: int) -> None:
        """Take room for one fix. Raises `Overloaded` when there is none."""
        if self._room[shard] < 1:
            raise self._full(shard)
        self._room[shard] -= 1

    def reserve_all(self, counts: Sequence[int]) -> None:
        """Take room for `counts[shard]` fixes in each shard, or none at all.

        Raises `Overloaded` when one of the shards has too little.
        """
        for shard, count in enumerate(counts):
            if count and self._room[shard] < count:
                raise self._full(shard)
        for shard, count in enumerate(counts):
            self._room[shard] -= count

    def rooms(self) -> list[int]:
        """How many fixes each shard still takes; none where the number is below 1."""
        return list(self._room)

    def full(self) -> list[int]:
        """The shards that take no further fix."""
        return [shard for shard, room in enumerate(self._room) if room <= 0]

    def snapshot(self, gathered: Sequence[int]) -> tuple[int, ...]:
        """What to hand to `correct` with the answer to a question that is sent now.

        `gathered` are fixes of each shard that were reserved and are not on their way yet: they
        leave behind the question, so the answer cannot count them.
        """
        return tuple(map(sum, zip(self._room, gathered, strict=True)))

    def correct(
        self, snapshot: Sequence[int], waiting: Sequence[int | None], share: int | None = None
    ) -> None:
        """Replace the count by what the fixes `waiting` leave, less what the answer cannot count.

        A number of None is one that Redis did not say: the count of that shard stays. `share`:
        fixes for which the server has memory in each of these shards (`room_of`).
        """
        self._closed = ""
        for shard, fixes in enumerate(waiting):
            if fixes is not None:
                uncounted = snapshot[shard] - self._room[shard]
                self._room[shard] = room_of(fixes, self._fixes_max, share) - uncounted

    def _full(self, shard: int) -> Overloaded:
        if self._closed:
            return Overloaded(self._closed, retry_after_s=1)
        return Overloaded(f"shard {shard} has too many fixes waiting", retry_after_s=2)
