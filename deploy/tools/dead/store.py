"""The dead letters of all shards: read, put back, removed. Holds Redis commands and no words.

Invariant: a letter is removed only after its payload is in a stream again, or by a purge. So a
replay that is cut off anywhere can simply be run again: a payload that came back twice is one row
by its key. The two steps are no MULTI, because the driver's stream and the letter may lie in two
shards, which may be two servers.
"""

import contextlib
import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.errors import FleetlineError
from common.keys import ENTRY_FIELD
from common.settings import Settings
from common.shards import Shard, Shards
from common.stream.backlog import ADDED, SETTLED, fixes_waiting
from common.stream.dead_letter import read_dead_letter
from common.stream.pack import encode_pack
from deploy.tools.dead.letter import StoredLetter, stream_moment
from deploy.tools.homes import events_by_shard
from deploy.tools.stack_redis import stack_redis
from deploy.tools.stack_shards import stack_shards

# Letters taken at a time: Redis does nothing else while it reads or writes a page.
PAGE = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; None: all."""

    shard: int | None = None
    reason: str | None = None
    since: datetime | None = None


@dataclass(slots=True)
class Replayed:
    """What a replay did, or would do."""

    replayed: int = 0
    # Payloads that no version of ours can read: they stay.
    undecodable: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """Events of a letter, and the shard that they go back to."""

    letter: StoredLetter
    shard: Shard
    pack: list[bytes]


class DeadLetterStore:
    """The dead letters in one Redis: also those of shards that are left, while their number
    changes.
    """

    def __init__(self, client: Any, shards: Shards, backlog_max: int) -> None:
        self._client = client
        self._shards = shards
        self._backlog_max = backlog_max

    def each(self, choice: Choice) -> Iterator[StoredLetter]:
        """Letters that are meant, shard by shard, oldest first."""
        for page in self._pages(choice):
            yield from page

    def newest(self, choice: Choice, limit: int) -> tuple[list[StoredLetter], int]:
        """The newest `limit` that are meant, newest last, and how many there are in all."""
        count = 0

        def counted() -> Iterator[StoredLetter]:
            nonlocal count
            for item in self.each(choice):
                count += 1
                yield item

        # Holds no more than `limit`, however many there are.
        newest = heapq.nlargest(limit, counted(), key=lambda item: item.age_order)
        return newest[::-1], count

    def get(self, name: str, stream_id: str) -> StoredLetter | None:
        """One letter; of a shard's name its number alone will do."""
        for shard in self._shards.all:
            if name in {shard.name, str(shard.index)}:
                entries = self._client.xrange(shard.keys.dead, stream_id, stream_id, count=1)
                if entries:
                    return _stored(shard, *entries[0])
        return None

    def replay(self, choice: Choice, *, dry_run: bool) -> Replayed:
        """Put payloads back into the streams of their drivers, and remove their letters.

        Letters that are written meanwhile are not looked at: what fails again must not go round
        in circles. Raises `FleetlineError` when a stream is full; what was done stays done.
        """
        done = Replayed()
        for page in self._pages(choice):
            # It is a whole pack where a consumer of a release before packs could not read it. A
            # line of that which is no event goes along, and becomes a letter of its own.
            entries = [(item, events_by_shard(item.letter.payload, self._shards)) for item in page]
            targets = [
                Target(item, shard, pack)
                for item, found in entries
                for shard, pack in found.items()
            ]
            if targets and not dry_run:
                self._put_back(targets)
            readable = sum(1 for _, found in entries if found)
            done.replayed += readable
            done.undecodable += len(entries) - readable
        return done

    def _put_back(self, targets: list[Target]) -> None:
        for shard in {target.shard for target in targets}:
            totals = self._client.hmget(shard.keys.counts, ADDED, SETTLED)
            waiting = fixes_waiting(totals, self._client.xlen(shard.keys.stream))
            if waiting + sum(len(target.pack) for target in targets) > self._backlog_max:
                raise FleetlineError(
                    f"shard {shard.index} has too many fixes waiting, try again later"
                )
        with self._client.pipeline(transaction=False) as pipe:
            for target in targets:
                pipe.xadd(target.shard.keys.stream, {ENTRY_FIELD: encode_pack(target.pack)})
                pipe.hincrby(target.shard.keys.counts, ADDED, len(target.pack))
            replies = pipe.execute(raise_on_error=False)[::2]
            refused = {
                target.letter.name: reply
                for target, reply in zip(targets, replies, strict=True)
                if isinstance(reply, Exception)
            }
            for target in targets:
                if target.letter.name not in refused:
                    pipe.xdel(target.letter.shard.keys.dead, target.letter.stream_id)
            pipe.execute()
        for error in refused.values():
            raise error

    def purge(self, shard: int | None, before: datetime) -> int:
        """Remove letters written before that moment, for ever. Returns how many."""
        horizon = stream_moment(before)
        return sum(
            self._client.xtrim(chosen.keys.dead, minid=horizon, approximate=False)
            for chosen in self._chosen(shard)
        )

    def _pages(self, choice: Choice) -> Iterator[list[StoredLetter]]:
        first = stream_moment(choice.since) if choice.since is not None else "-"
        for shard in self._chosen(choice.shard):
            dead, start = shard.keys.dead, first
            newest = self._client.xrevrange(dead, count=1)
            last = newest[0][0] if newest else None
            while last is not None:
                entries = self._client.xrange(dead, start, last, count=PAGE)
                letters = [_stored(shard, *entry) for entry in entries]
                yield [x for x in letters if choice.reason in {None, x.letter.reason}]
                if len(entries) < PAGE:
                    break
                start = f"({entries[-1][0].decode()}"

    def _chosen(self, shard: int | None) -> list[Shard]:
        every = self._shards.all
        chosen = [each for each in every if shard in {None, each.index}]
        if not chosen:
            most = max(each.index for each in every)
            raise FleetlineError(f"there is no shard {shard}: they are 0-{most}")
        return chosen


def _stored(shard: Shard, stream_id: bytes, fields: Mapping[bytes, bytes]) -> StoredLetter:
    return StoredLetter(shard, stream_id.decode(), read_dead_letter(fields))


@contextlib.contextmanager
def dead_letters(settings: Settings) -> Iterator[DeadLetterStore]:
    """The dead letters of the Redis that is set, or of the stack in FLEETLINE_HOME.

    Raises `FleetlineError` when Redis does not answer or refuses.
    """
    with stack_redis(settings, decode=False) as client:
        yield DeadLetterStore(client, stack_shards(client, settings), settings.backlog_max)
