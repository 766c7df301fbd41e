"""What a worker says of itself: its lease, both stages, and what waits in its shard."""

import socket
from collections import Counter
from collections.abc import Iterable

from common.metrics.names import consumers as names
from common.metrics.snapshot import Snapshot
from consumers.assembly import Parts

# Who holds a shard is told by the machine's name, which in a container is the container's.
HOST = socket.gethostname()


class ShardNumbers:
    """Gives those of one shard, by its name; reads, and changes nothing."""

    def __init__(self, shard: str, parts: Parts) -> None:
        self._shard = shard
        self._parts = parts

    def put(self, snapshot: Snapshot) -> None:
        """Give all of it."""
        self._put_lease(snapshot)
        self._put_live(snapshot)
        self._put_history(snapshot)
        self._put_stream(snapshot)

    def _put_lease(self, snapshot: Snapshot) -> None:
        age_s = self._parts.lease.age_s
        if age_s is not None:
            snapshot.put(names.LEASE_AGE, round(age_s, 3), self._shard)
            snapshot.put(names.SHARD_OWNER, int(self._parts.lease.fresh), self._shard, HOST)

    def _put_live(self, snapshot: Snapshot) -> None:
        live, shard = self._parts.live, self._shard
        snapshot.put(names.LIVE_FIXES, live.watch.fixes, shard)
        snapshot.put_histogram(names.LIVE_AGE, live.watch.ages, shard)
        snapshot.put(names.LIVE_TROUBLES, live.troubles, shard)
        snapshot.put(names.LIVE_UNWRITTEN, live.unwritten, shard)

    def _put_history(self, snapshot: Snapshot) -> None:
        histories, shard = self._parts.histories, self._shard
        # Histories of one shard share their histograms.
        first, times = histories[0], [history.table.times for history in histories]
        snapshot.put(names.STORED_ROWS, sum(t.rows for t in times), shard)
        snapshot.put_histogram(names.STORE_AGE, first.stage.watch.ages, shard)
        snapshot.put_histogram(names.STORE_SECONDS, first.table.times.seconds, shard)
        snapshot.put_each(names.STORE_BATCHES, _sum(t.batches for t in times), shard)
        snapshot.put(names.STORE_TROUBLES, sum(h.stage.troubles for h in histories), shard)
        up = [t.up for t in times if t.up is not None]
        if up:
            snapshot.put(names.DATABASE_UP, int(all(up)), shard)

    def _put_stream(self, snapshot: Snapshot) -> None:
        counted, shard = self._parts.counts.counted, self._shard
        snapshot.put(names.REPEATS, counted["repeats"], shard)
        snapshot.put(names.GROUPS_LOST, counted["groups_lost"], shard)
        snapshot.put(names.ENTRIES_LOST, counted["entries_lost"], shard)
        letters = _sum(history.letters.written for history in self._parts.histories)
        snapshot.put_each(names.DEAD_LETTERS, letters, shard)
        population = self._parts.population
        if population.seen:
            snapshot.put(names.DRIVERS, population.drivers, shard)
            snapshot.put(names.DEAD_LETTERS_WAITING, population.dead_letters, shard)


def _sum(counters: Iterable[Counter[str]]) -> Counter[str]:
    """Their sum, with what is 0."""
    total: Counter[str] = Counter()
    for counter in counters:
        total.update(counter)
    return total
