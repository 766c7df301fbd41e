"""The shards that are left by a change: how far they are emptied, and what moves from them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from common.errors import PoisonEntry
from common.event import decode_event
from common.keys import CARRIED_FROM, ENTRY_FIELD, FIRST_EPOCH, META
from common.redis.carry_over import old_shard_keys
from common.shards import Shard, Shards
from common.stream.backlog import ADDED
from common.stream.pack import encode_pack
from consumers.stream.barrier import is_shown
from deploy.tools.homes import events_by_shard

# Entries that are moved at a time: Redis does nothing else meanwhile.
PAGE = 100
# How long a closed, empty stream refuses an ingest that slept through the change.
CLOSED_KEPT_S = 7 * 86_400


class Left(NamedTuple):
    """What is left in shards: streams that are open, those that are not shown to their ends,
    entries that are not stored, and drivers whose positions may still be shown.
    """

    opened: int
    unshown: int
    entries: int
    positions: int


class LeavingShards:
    """`old` are not written any more, `new` are. Methods raise what redis-py raises.

    `renew` is called before each page that is moved, and raises when another is at it: it may take
    longer than the right to do so lasts.
    """

    def __init__(self, client: Any, old: Shards, new: Shards, renew: Callable[[], object]) -> None:
        self._client = client
        self._old = old
        self._new = new
        self._renew = renew

    def look(self) -> Left:
        """How far they are."""
        with self._client.pipeline(transaction=False) as pipe:
            for shard in self._old:
                pipe.get(shard.keys.closed)
                pipe.hget(shard.keys.cursor, "id")
                pipe.xlen(shard.keys.stream)
                # Old workers take out who was not seen for LOCATION_TTL, as they know that.
                pipe.zcard(shard.keys.seen)
            replies = pipe.execute()
        closed, cursors, lengths, seen = (replies[n::4] for n in range(4))
        facts = zip(closed, cursors, lengths, strict=True)
        return Left(
            opened=closed.count(None),
            unshown=sum(not is_shown(*each) for each in facts),
            entries=sum(lengths),
            positions=sum(seen),
        )

    def move_old_entries(self) -> None:
        """What an ingest of the release before these keys accepted until it saw the change.

        It writes under names that the workers of the first layout alone look at, and those may not
        add to a stream that is closed.
        """
        if self._old.epoch != FIRST_EPOCH or not self._client.hexists(META, CARRIED_FROM):
            return
        for index in range(len(self._old)):
            keys = old_shard_keys(self._old.stream_name, index)
            while page := self._page(keys.stream):
                for entry_id, fields in page:
                    self._add(fields)
                    self._client.xdel(keys.stream, entry_id)
            self._move_letters(keys.dead)

    def _add(self, fields: dict[bytes, bytes]) -> None:
        payload = fields.get(ENTRY_FIELD.encode(), b"")
        # What nobody can read becomes a dead letter wherever it is.
        homes = events_by_shard(payload, self._new) or {self._new[0]: [payload]}
        for shard, events in homes.items():
            self._client.xadd(shard.keys.stream, {ENTRY_FIELD: encode_pack(events)})
            self._client.hincrby(shard.keys.counts, ADDED, len(events))

    def move_letters(self) -> None:
        """Dead letters, to where their drivers are now.

        Killed in between, a letter may be there twice; none is lost.
        """
        for shard in self._old:
            self._move_letters(shard.keys.dead)

    def _move_letters(self, dead: str) -> None:
        while page := self._page(dead):
            for entry_id, fields in page:
                self._client.xadd(self._home(fields).keys.dead, fields)
                self._client.xdel(dead, entry_id)

    def _page(self, stream: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        """The next entries to be moved."""
        self._renew()
        page: list[tuple[bytes, dict[bytes, bytes]]] = self._client.xrange(stream, count=PAGE)
        return page

    def _home(self, fields: dict[bytes, bytes]) -> Shard:
        """The shard of a letter's driver; what cannot be read goes to the first."""
        try:
            return self._new.of(decode_event(fields.get(b"payload", b"")).driver_id)
        except PoisonEntry:
            return self._new[0]


def workers(client: Any, shards: Shards) -> int:
    """How many of them have a worker. Raises what redis-py raises."""
    with client.pipeline(transaction=False) as pipe:
        for shard in shards:
            pipe.exists(shard.keys.consumer)
        return sum(pipe.execute())


def entries_in(client: Any, shards: Shards) -> int:
    """Entries in their streams. Raises what redis-py raises."""
    with client.pipeline(transaction=False) as pipe:
        for shard in shards:
            pipe.xlen(shard.keys.stream)
        return sum(pipe.execute())


def remove(client: Any, gone: Shards) -> None:
    """Remove the keys of shards that nobody works for any more. Raises what redis-py raises.

    Their streams stay for a while, closed and empty.
    """
    for shard in gone:
        keys = shard.keys
        with client.pipeline(transaction=False) as pipe:
            for key in (keys.live, keys.geo, keys.seen, keys.dead, keys.cursor, keys.fence,
                        keys.counts, keys.places):  # fmt: skip
                pipe.unlink(key)
            for key in (keys.stream, keys.closed):
                pipe.expire(key, CLOSED_KEPT_S)
            pipe.execute()
