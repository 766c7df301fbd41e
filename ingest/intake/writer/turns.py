"""The turns of all servers of a process, and which shards go by which."""

from collections.abc import Callable

import hiredis

from common.errors import Overloaded
from common.log import Repeated, get
from common.metrics.histogram import Histogram
from common.metrics.names.ingest import PACKS, REDIS_REFUSALS, UNREPLICATED, WRITE_SECONDS
from common.metrics.snapshot import Snapshot
from common.redis.nodes import Nodes
from common.redis.replication import Mode, Replication, following
from common.redis.wire import Wire
from common.shards import Shards
from common.trace import Tracing
from ingest.intake.writer.write_turns import WriteTurns

# How often each primary is asked which replicas follow it.
REPLICAS_EVERY_S = 1.0


class Turns:
    """One `WriteTurns` for each server; `of` changes with what the servers serve.

    `gap_s`: least time between two of a server's turns. `timeout_s`: longest wait of a request
    for its events. `bytes_max`: most bytes of events that gather for one server. `trace_sample`:
    one of so many fixes leaves a line (`common.trace`). `replication`: see `Replication`;
    `replicated`: whether servers are made to have replicas.
    """

    def __init__(
        self,
        nodes: Nodes,
        shards: Shards,
        *,
        gap_s: float,
        timeout_s: float,
        bytes_max: int,
        trace_sample: int = 0,
        replication: Mode = Mode.OFF,
        replicated: bool = False,
    ) -> None:
        self._nodes = nodes
        self._shards = shards
        self._mode, self._replicated = replication, replicated
        self._unreplicated = Repeated(get("ingest"), "redis.unreplicated")

        def new(wire: Wire) -> WriteTurns:
            return WriteTurns(
                wire,
                self._shards,
                gap_s=gap_s,
                timeout_s=timeout_s,
                bytes_max=bytes_max,
                tracing=Tracing(trace_sample),
                replication=self._new_replication(),
            )

        self._new: Callable[[Wire], WriteTurns] = new
        self._by_wire: dict[Wire, WriteTurns] = {}
        # What turns counted whose server serves nothing any more.
        self._past_packs = self._past_refused = 0
        self._past_times = Histogram(WRITE_SECONDS)
        # By a shard's index. Changed in place: who writes looks it up for every fix.
        self.of: list[WriteTurns] = []
        self._assign()
        nodes.on_change(self._assign)

    def adopt(self, shards: Shards) -> None:
        """Other shards are written from now on; what gathers for those before still leaves."""
        self._shards = shards
        for turns in self._by_wire.values():
            self._forget(turns)
        self._by_wire.clear()
        self._assign()

    def _new_replication(self) -> Replication:
        return Replication(self._mode, expected=self._replicated, changed=self._say)

    def _say(self, lacking: bool) -> None:
        if lacking:
            self._unreplicated.failed(error="a primary has no replica: its disk is the only copy")
        elif not self.unreplicated():
            self._unreplicated.healed()

    def _assign(self) -> None:
        """Give each shard the turns of the server that has it now."""
        wires = [self._nodes.wire(shard) for shard in self._shards]
        for wire in self._by_wire.keys() - set(wires):
            self._forget(self._by_wire.pop(wire))
        for wire in wires:
            if wire not in self._by_wire:
                self._by_wire[wire] = self._new(wire)
        self.of[:] = [self._by_wire[wire] for wire in wires]

    def _forget(self, turns: WriteTurns) -> None:
        """What gathers in them still leaves, and is led on; it is not counted."""
        self._past_packs += turns.packs
        self._past_refused += turns.refused
        times = self._past_times
        times.counts = [a + b for a, b in zip(times.counts, turns.times.counts, strict=True)]
        times.total += turns.times.total

    async def look_for_replicas(self) -> None:
        """Ask each primary which replicas follow it. Raises `Overloaded` if one did not answer."""
        if self._mode is Mode.OFF:
            return
        lost: Overloaded | None = None
        for wire, turns in tuple(self._by_wire.items()):
            try:
                turns.replication.saw(following(await wire.send("INFO", "replication")))
            except Overloaded as e:
                lost = e
            except hiredis.ReplyError:
                # A user who may not ask: WAIT alone decides.
                continue
        if lost is not None:
            raise lost

    def unreplicated(self) -> list[int]:
        """Shards whose fixes have only the disk of their primary."""
        return [shard for shard, turns in enumerate(self.of) if turns.replication.lacking]

    def put(self, snapshot: Snapshot) -> None:
        """Give what all turns counted."""
        turns = self._by_wire.values()
        snapshot.put(PACKS, self._past_packs + sum(each.packs for each in turns))
        snapshot.put(REDIS_REFUSALS, self._past_refused + sum(each.refused for each in turns))
        snapshot.put(UNREPLICATED, len(self.unreplicated()))
        snapshot.add_histogram(WRITE_SECONDS, self._past_times)
        for each in turns:
            snapshot.add_histogram(WRITE_SECONDS, each.times)

    def gathered(self) -> list[int]:
        """Fixes of each shard that have not left yet."""
        return [turns.gathering.fixes(shard) for shard, turns in enumerate(self.of)]
