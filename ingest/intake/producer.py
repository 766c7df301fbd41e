"""Events into their shards' streams. Returns only once Redis has said that it has them.

Nothing is retried here: a reply that does not come leaves the outcome unknown, and the sender's
own retry is harmless because driver and time identify the fix.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import hiredis

from common.errors import Overloaded
from common.keys import ENTRY_FIELD, shard_keys, shard_of
from common.log import Repeated, get
from common.redis.wire import Command, Reply, Wire
from ingest.intake.backlog import Rooms

# (driver id, event) pairs.
Events = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Surplus:
    """What was not added of a body, because its drivers sent too fast: places in what was given.

    Empty without a limit. The sender has to send them again after `retry_after_s`.
    """

    places: Sequence[int] = ()
    retry_after_s: int = 0


NO_SURPLUS = Surplus()


class Producer:
    """Adds events to streams over one worker's `Wire`."""

    def __init__(self, wire: Wire, rooms: Rooms, stream_name: str, shards: int) -> None:
        self._wire = wire
        self._rooms = rooms
        self._shards = shards
        self._streams = [shard_keys(stream_name, s).stream for s in range(shards)]
        self._prefixes = [b"%d-" % s for s in range(shards)]
        self._refusals = Repeated(get("ingest"), "redis.refused")

    def require_pace(self, driver_id: str) -> None:
        """Raise `Refused` (429) for a driver that is known to send too fast; asks nobody.

        For before its fix is looked at: whoever floods is to cost as little as can be.
        """

    async def add(self, driver_id: str, event: bytes) -> bytes:
        """Add one event; its message id. Raises `Overloaded`."""
        shard = shard_of(driver_id, self._shards)
        self._rooms.take(shard)
        try:
            entry_id: bytes = await self._wire.send(
                "XADD", self._streams[shard], "*", ENTRY_FIELD, event
            )
        except hiredis.ReplyError as e:
            raise self._refused(e) from e
        self._refusals.healed()
        return self._prefixes[shard] + entry_id

    async def add_many(self, events: Events) -> Surplus:
        """Add (driver id, event) pairs, at least one, in their order.

        Raises `Overloaded` when not all of them are known to be in their streams.
        """
        shards, streams = self._shards, self._streams
        commands: list[Command] = []
        counts = [0] * shards
        for driver_id, event in events:
            shard = shard_of(driver_id, shards)
            counts[shard] += 1
            commands.append(("XADD", streams[shard], "*", ENTRY_FIELD, event))
        self._take_rooms(counts)
        self._check(await self._wire.pipeline_raw(commands))
        return NO_SURPLUS

    async def add_whole(self, events: Events) -> None:
        """`add_many`, where a limit takes all events of a driver or none. Raises `Refused`."""
        await self.add_many(events)

    def _take_rooms(self, counts: Sequence[int]) -> None:
        for shard, count in enumerate(counts):
            if count:
                self._rooms.take(shard, count)

    def _check(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise self._refused(reply)
        self._refusals.healed()

    def _refused(self, error: hiredis.ReplyError) -> Overloaded:
        self._refusals.failed(error=str(error))
        return Overloaded("Redis does not take entries now")
