"""How many entries each shard may still take, counted down between two looks at Redis. Pure.

`Capacity` counts what this worker adds, and is corrected by each poll of the streams' lengths
(`backlog.py`). Entries of other workers show at the poll.
"""

from collections.abc import Sequence

from common.errors import Overloaded


class Capacity:
    """Entries that each shard may still take. Closed until it is first corrected."""

    def __init__(self, shards: int, entries_max: int) -> None:
        self._entries_max = entries_max
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

    def reserve(self, shard: int) -> None:
        """Take room for one entry. Raises `Overloaded` when there is none."""
        if self._room[shard] < 1:
            raise self._full(shard)
        self._room[shard] -= 1

    def reserve_all(self, counts: Sequence[int]) -> None:
        """Take room for `counts[shard]` entries in each shard, or none at all.

        Raises `Overloaded` when one of the shards has too little.
        """
        for shard, count in enumerate(counts):
            if count and self._room[shard] < count:
                raise self._full(shard)
        for shard, count in enumerate(counts):
            self._room[shard] -= count

    def full(self) -> list[int]:
        """The shards that take no further entry."""
        return [shard for shard, room in enumerate(self._room) if room <= 0]

    def snapshot(self) -> tuple[int, ...]:
        """What to hand to `correct` with the lengths that are asked for now."""
        return tuple(self._room)

    def correct(self, snapshot: Sequence[int], lengths: Sequence[int | None]) -> None:
        """Replace the count by the streams' `lengths`, less what was reserved since `snapshot`.

        A length of None is one that Redis did not say: the count of that shard stays.
        """
        self._closed = ""
        for shard, length in enumerate(lengths):
            if length is not None:
                reserved_since = snapshot[shard] - self._room[shard]
                self._room[shard] = self._entries_max - length - reserved_since

    def _full(self, shard: int) -> Overloaded:
        if self._closed:
            return Overloaded(self._closed, retry_after_s=1)
        return Overloaded(f"shard {shard} has too many entries waiting", retry_after_s=2)
