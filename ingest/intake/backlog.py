"""Asks Redis how many fixes wait in each shard and how full it is, so that it is refused in time.

It is asked over the connections that carry the XADDs; their order on them makes the count of
`Capacity` exact for this worker's own fixes.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import hiredis

from common.errors import Overloaded
from common.layout import Layout, Layouts
from common.log import Repeated, get
from common.redis.kind import IS_A_CLUSTER
from common.redis.layout_watch import LayoutWatch
from common.redis.nodes import Nodes
from common.redis.wire import Reply, Wire
from common.shards import Shard, Shards
from common.stream.backlog import fixes_waiting, read_total, totals_question
from common.stream.memory import read_memory
from ingest.intake.capacity import Capacity
from ingest.intake.outlook import Outlook
from ingest.intake.room import ServerMemory, ServerRoom, ShardLook, rooms_of, share_of
from ingest.intake.writer.turns import Turns

POLL_EVERY_S = 1.0
# While nothing is taken the next look decides how soon fixes are accepted again.
POLL_CLOSED_EVERY_S = 0.1
# What a server is asked first; it costs it 5 µs.
_HOW_FULL = ("INFO", "memory")


class Backlog:
    """Keeps `capacity` correct by polling.

    The same question tells whether this Redis holds data of another layout: the number of shards
    changes, or the start could not find it out because Redis was down. `adopt` is told of it.
    """

    def __init__(
        self,
        nodes: Nodes,
        shards: Shards,
        turns: Turns,
        fixes_max: int,
        adopt: Callable[[Layouts], bool] = lambda _layouts: False,
    ) -> None:
        self.capacity = Capacity(len(shards), fixes_max)
        self._fixes_max = fixes_max
        # Fixes that wait in each shard, None where Redis has not said, and what follows from them.
        self.waiting: list[int | None] = [None] * len(shards)
        self.outlooks = [Outlook() for _ in shards]
        # Shards whose server did not answer the last question.
        self.missing: list[int] = [shard.index for shard in shards]
        self._memories: dict[Wire, ServerMemory] = {}
        self._nodes = nodes
        self._layouts = LayoutWatch(nodes, shards.stream_name, len(shards))
        # Which the shards are of.
        self._followed = Layouts(Layout(len(shards)))
        self._turns = turns
        # Those that are written.
        self.shards = shards
        self._adopt = adopt
        self._mismatch = Repeated(get("ingest"), "shards.differ")

    def adopt(self, shards: Shards) -> None:
        """There are other shards from now on, of which nothing is known yet."""
        self.capacity.adopt(len(shards))
        self.waiting = [None] * len(shards)
        self.outlooks = [Outlook() for _ in shards]
        self.missing = []
        self.shards = shards

    def follow(self, shards: Shards) -> None:
        """They are the same, beside others that come or go."""
        self.shards = shards

    async def run(self) -> None:
        """Poll once a second, sooner while nothing is taken."""
        while True:
            await asyncio.sleep(POLL_CLOSED_EVERY_S if self.capacity.closed else POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Ask what waits; while Redis does not answer the count stays as it is."""
        try:
            if await self._is_other_layout():
                return
        except Overloaded:
            if not self._nodes.is_cluster:
                self.missing = [shard.index for shard in self.shards]
                return
            # The server of what there is one of may be away while those of shards are not. But it
            # has to be heard once: what is set may be long past, and nobody reads what was written
            # to shards that are none.
            if not self._layouts.heard:
                return
        by_wire = self._by_wire()
        for wire in self._memories.keys() - by_wire.keys():
            del self._memories[wire]
        # One that does not answer holds up no other, nor leaves the others without room.
        found = await asyncio.gather(*map(self._poll_waiting, by_wire, by_wire.values()))
        self.missing = sorted(shard.index for shards in found for shard in shards)

    def servers(self) -> list[ServerRoom]:
        """The servers that answer, how much room they have and for how long."""
        rooms, left = [], self.capacity.rooms()
        for wire, shards in self._by_wire().items():
            memory = self._memories.get(wire)
            looks = {
                shard.index: ShardLook(
                    waiting, left[shard.index], self.outlooks[shard.index].pace()
                )
                for shard in shards
                if (waiting := self.waiting[shard.index]) is not None
                and shard.index not in self.missing
            }
            if memory is None or (shards and not looks):
                continue
            refuses = memory.memory is not None and memory.memory.refuses
            of = rooms_of([*looks.values()], self._fixes_max, memory.fixes(), refuses=refuses)
            rooms.append(ServerRoom([*looks], of, memory.memory, memory.fix_bytes))
        return rooms

    def unreplicated(self) -> list[int]:
        """Shards whose fixes have only the disk of their primary."""
        return self._turns.unreplicated()

    def _by_wire(self) -> dict[Wire, list[Shard]]:
        """The shards of each server; of some there may be none."""
        by_wire: dict[Wire, list[Shard]] = {wire: [] for wire in self._nodes.wires}
        for shard in self.shards:
            by_wire.setdefault(self._nodes.wire(shard), []).append(shard)
        return by_wire

    async def _is_other_layout(self) -> bool:
        try:
            found = await self._layouts.look()
        except hiredis.ReplyError as e:
            if str(e).startswith("MOVED"):
                self._refuse_cluster()
                return True
            return False
        if not self._layouts.heard:
            # Redis has never said what could be read (`layout.unreadable`).
            self.capacity.close("what Redis says of its shards cannot be read")
            return True
        if found == self._followed:
            self._mismatch.healed()
            return False
        if self._adopt(found):
            self._followed = found
            return False
        self._mismatch.failed(data=found.now.shards, setting=len(self.shards))
        self.capacity.close("the data in Redis has another number of shards")
        return True

    def _refuse_cluster(self) -> None:
        """The start could not find it out, since this server did not answer then."""
        self._mismatch.failed(error=IS_A_CLUSTER)
        self.capacity.close("REDIS_URL names one node of a Redis Cluster: redis+cluster:// is due")

    async def _poll_waiting(self, wire: Wire, shards: Sequence[Shard]) -> Sequence[Shard]:
        """Ask one server about its shards; those that it did not answer for."""
        try:
            await self._ask_waiting(wire, shards)
        except Overloaded:
            return shards
        return ()

    async def _ask_waiting(self, wire: Wire, shards: Sequence[Shard]) -> None:
        snapshot = self.capacity.snapshot(self._turns.gathered())
        questions = [
            question
            for shard in shards
            for question in (totals_question(shard.keys), ("XLEN", shard.keys.stream))
        ]
        info, *replies = await wire.pipeline_raw([_HOW_FULL, *questions])
        waiting: list[int | None] = [None] * len(self.shards)
        for place, shard in enumerate(shards):
            waiting[shard.index] = self._note(shard, replies[2 * place : 2 * place + 2])
        known = [fixes for fixes in waiting if fixes is not None]
        memory = self._memories.setdefault(wire, ServerMemory())
        # A user who may not ask learns nothing of the memory.
        seen = None if isinstance(info, hiredis.ReplyError) else read_memory(info)
        memory.look(time.monotonic(), seen, sum(known))
        # While closed nothing is known of any shard: then all of a server must answer first.
        if shards and (not self.capacity.closed or len(known) == len(shards)):
            self.capacity.correct(snapshot, waiting, share_of(memory.fixes(), len(known)))

    def _note(self, shard: Shard, replies: Sequence[Reply]) -> int | None:
        """Fixes that wait in a shard by the replies; None where Redis does not say."""
        if any(isinstance(reply, hiredis.ReplyError) for reply in replies):
            return None
        totals, length = replies
        waiting = fixes_waiting(totals, length)
        self.waiting[shard.index] = waiting
        self.outlooks[shard.index].look(time.monotonic(), read_total(totals[0]) or 0, waiting)
        return waiting
