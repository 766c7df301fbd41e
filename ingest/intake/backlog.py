"""How much waits in each shard's stream, so that a full one refuses before it grows further.

The rule is pure: `Rooms` counts down what this worker adds and is set right by each poll. The
shell asks for XLEN once a second over the same connection that carries the XADDs; their order on
it makes the count exact for this worker's own entries. Other workers' entries show at the poll.
"""

import asyncio
from collections.abc import Sequence

import hiredis

from common.errors import Overloaded
from common.keys import META, shard_keys
from common.log import Repeated, get
from common.redis.wire import Command, Wire

POLL_EVERY_S = 1.0
# While nothing is taken the next look decides how soon fixes are accepted again.
POLL_CLOSED_EVERY_S = 0.1


class Rooms:
    """Entries that each shard may still take. Closed until it is first set right. Pure."""

    def __init__(self, shards: int, entries_max: int) -> None:
        self._entries_max = entries_max
        self._room = [0] * shards
        self._closed = "Redis has not been asked yet"

    @property
    def closed(self) -> str:
        """Why nothing is taken at all; empty when it is."""
        return self._closed

    def close(self, reason: str) -> None:
        """Take nothing until `set_right`."""
        self._closed = reason
        self._room = [0] * len(self._room)

    def take(self, shard: int, count: int = 1) -> None:
        """Take room for `count` entries. Raises `Overloaded` when there is none."""
        room = self._room[shard] - count
        if room < 0:
            full = f"shard {shard} has too many entries waiting"
            raise Overloaded(self._closed or full, retry_after_s=1 if self._closed else 2)
        self._room[shard] = room

    def full(self) -> list[int]:
        """The shards that take no further entry."""
        return [shard for shard, room in enumerate(self._room) if room <= 0]

    def noted(self) -> tuple[int, ...]:
        """What to hand to `set_right` with the lengths that are asked for now."""
        return tuple(self._room)

    def set_right(self, noted: Sequence[int], lengths: Sequence[int | None]) -> None:
        """Replace the count by the streams' `lengths`, less what was taken since `noted`."""
        self._closed = ""
        for shard, length in enumerate(lengths):
            if length is not None:
                taken_since = noted[shard] - self._room[shard]
                self._room[shard] = self._entries_max - length - taken_since


class Backlog:
    """Keeps `rooms` right by polling; owns its task between `start` and `stop`.

    The same question tells whether this Redis holds data of another number of shards, which the
    start could not find out if Redis was down then: fixes would go to the wrong writers.
    """

    def __init__(self, wire: Wire, stream_name: str, shards: int, entries_max: int) -> None:
        self.rooms = Rooms(shards, entries_max)
        self._wire = wire
        self._shards = shards
        self._commands: list[Command] = [
            *(("XLEN", shard_keys(stream_name, s).stream) for s in range(shards)),
            ("HGET", META, "shards"),
        ]
        self._task: asyncio.Task[None] | None = None
        self._mismatch = Repeated(get("ingest"), "shards.differ")

    async def start(self) -> None:
        """Poll once, then once a second."""
        await self.poll()
        self._task = asyncio.create_task(self._run(), name="backlog")

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def poll(self) -> None:
        """Ask for the lengths; while Redis does not answer the count stays as it is."""
        noted = self.rooms.noted()
        try:
            *lengths, shards = await self._wire.pipeline_raw(self._commands)
        except Overloaded:
            return
        if isinstance(shards, bytes) and shards != b"%d" % self._shards:
            self._mismatch.failed(data=shards.decode("ascii", "replace"), setting=self._shards)
            self.rooms.close("the data in Redis has another number of shards")
            return
        self._mismatch.healed()
        known = [None if isinstance(r, hiredis.ReplyError) else r for r in lengths]
        if all(length is not None for length in known) or not self.rooms.closed:
            self.rooms.set_right(noted, known)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_CLOSED_EVERY_S if self.rooms.closed else POLL_EVERY_S)
            await self.poll()
