"""Which shard a driver belongs to, and the keys of that shard. Pure.

While the number of shards changes there are two layouts of them (`common.layout`). A driver's
shard is that of the one that is written; `older` are the other's, where its position may be still.

`crc32(driver_id) % count` is stable across processes, machines and releases: another rule would
give a driver two writers.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zlib import crc32

from common.keys import FIRST_EPOCH, ShardKeys, shard_keys
from common.layout import Layout, kin
from common.slots import slot_of


@dataclass(frozen=True, slots=True)
class Shard:
    """One of the streams: its number, 0 up to the count, its keys, and their slot in a cluster.

    `name` is no other shard's, of whatever layout: see `shard_name`.
    """

    index: int
    keys: ShardKeys
    slot: int
    name: str


def shard_name(index: int, epoch: int) -> str:
    """`Shard.name` of a shard of the layout `epoch`."""
    return str(index) if epoch == FIRST_EPOCH else f"{epoch}.{index}"


class Shards:
    """All shards of a system, in order of their index."""

    __slots__ = ("_shards", "count", "epoch", "older", "stream_name")

    def __init__(
        self,
        stream_name: str,
        count: int,
        epoch: int = FIRST_EPOCH,
        older: Layout | None = None,
    ) -> None:
        self.stream_name = stream_name
        self.count = count
        # Those that are left by these, while there are any.
        self.older = Shards(stream_name, *older) if older is not None else None
        # The layout's number: two layouts have no key in common.
        self.epoch = epoch
        keys = (shard_keys(stream_name, n, count, epoch) for n in range(count))
        self._shards = tuple(
            Shard(n, k, slot_of(k.stream), shard_name(n, epoch)) for n, k in enumerate(keys)
        )

    @property
    def layout(self) -> Layout:
        """The layout of these, without the older one."""
        return Layout(self.count, self.epoch)

    @property
    def all(self) -> tuple[Shard, ...]:
        """These, and the older ones behind them."""
        return self._shards + (self.older.all if self.older is not None else ())

    @property
    def alone(self) -> "Shards":
        """The same, without the older ones."""
        return Shards(self.stream_name, *self.layout) if self.older is not None else self

    def sources(self, index: int) -> "tuple[Shard, ...]":
        """The older shards that the drivers of a shard may come from."""
        if self.older is None:
            return ()
        return tuple(self.older[n] for n in kin(index, self.count, self.older.count))

    def concerned_by(self, others: Iterable[Shard]) -> set[int]:
        """The numbers of these that have drivers in common with `others`, of whatever layout."""
        counts = {shard: layer.count for layer in (self, self.older) if layer for shard in layer}
        return {n for o in others for n in kin(o.index, counts.get(o, self.count), self.count)}

    def of(self, driver_id: str) -> Shard:
        """The shard of a driver."""
        return self._shards[crc32(driver_id.encode()) % self.count]

    def __getitem__(self, index: int) -> Shard:
        return self._shards[index]

    def __iter__(self) -> Iterator[Shard]:
        return iter(self._shards)

    def __len__(self) -> int:
        return self.count
