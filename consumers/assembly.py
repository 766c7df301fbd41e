"""What a worker is made of: the connections, stages and chores of one shard, put together."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from common.backoff import Backoff
from common.keys import FIRST_EPOCH
from common.metrics.names.consumers import LIVE_AGE, STORE_AGE
from common.redis.carry_over import old_shard_keys
from common.redis.nodes import Nodes
from common.redis.opening import new_wires
from common.redis.place import parse_place
from common.redis.replication import Mode, Replication
from common.redis.wire import Wire
from common.settings import Settings
from common.shards import Shard, Shards
from common.trace import Stage, Tracing
from consumers.history.pages import RECLAIM_EVERY_S
from consumers.history.patience import BACKOFF
from consumers.history_parts import HistoryAssembly, HistoryParts
from consumers.live.bindings import OrderBindings
from consumers.live.drivers import DriverState
from consumers.live.earlier import EarlierPositions
from consumers.live.orders import OrderState
from consumers.live.stage import LiveLimits, LiveSigns, LiveStage
from consumers.live.write_fence import WriteFence
from consumers.liveness import Liveness
from consumers.page_trace import PageTrace
from consumers.stage_watch import StageWatch
from consumers.stream.barrier import Barrier
from consumers.stream.counts.counts import Counts
from consumers.stream.counts.population import Population
from consumers.stream.counts.settled import SettledFixes
from consumers.stream.cursor import LiveCursor
from consumers.stream.lease import RENEW_EVERY_S, Lease
from consumers.stream.old_stream import LOOK_EVERY_S, OldStream
from consumers.stream.places_hold import PlacesHold
from consumers.stream.trim import Trim

# A reply that takes longer than this means that the connection is dead; far above any command.
REDIS_REPLY_TIMEOUT_S = 5.0

Chore = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class WorkerPace:
    """How often what is done, and how long is waited, in seconds."""

    chores_s: float = 1.0
    reclaim_s: float = RECLAIM_EVERY_S
    reply_timeout_s: float = REDIS_REPLY_TIMEOUT_S
    backoff: Backoff = BACKOFF
    # Longest wait of a read for new entries; bounds how late a stop is noticed.
    read_block_s: float = 0.5
    # Pause between two reads of few entries: at 2,000 fixes a second more share a round trip.
    read_pause_s: float = 0.004
    # Fixes that the live stage takes at a time, give or take a pack; of each driver only the newest
    # of them is written.
    page_fixes: int = 10_000
    # Drivers, and orders, whose newest time a worker remembers (some 40 MB); others are looked up.
    names_max: int = 200_000


@dataclass(frozen=True, slots=True)
class Wires:
    """A worker's connections: whatever takes long on one delays nothing on another.

    `reads` waits for new entries, `quick` is the live stage's, `bulk` takes the history's pages.
    All lead to the server of the shard; `nodes` knows those of orders, and of what there is one of.
    """

    nodes: Nodes
    reads: Wire
    quick: Wire
    bulk: Wire

    @property
    def all(self) -> tuple[Wire, ...]:
        """Each of those to the shard's server."""
        return (self.reads, self.quick, self.bulk)

    async def start(self) -> None:
        """Connect, and keep connected until `close`. Returns after the first attempts."""
        # First, since a cluster's map says where the shard is.
        await self.nodes.start()
        for wire in self.all:
            await wire.start()

    async def close(self) -> None:
        """Stop; what still waits fails."""
        for wire in self.all:
            await wire.close()
        await self.nodes.close()


@dataclass(frozen=True, slots=True)
class Parts:
    """A worker's parts, ready to run. `chores`: name → seconds between, and what is done."""

    wires: Wires
    lease: Lease
    barrier: Barrier
    settled: SettledFixes
    live: LiveStage
    # One for each database of the shard's drivers.
    histories: tuple[HistoryParts, ...]
    trim: Trim
    counts: Counts
    population: Population
    chores: dict[str, tuple[float, Chore]]


def assemble(
    settings: Settings, shards: Shards, index: int, pace: WorkerPace, liveness: Liveness
) -> Parts:
    """The parts of the worker of shard `index` of `shards`; nothing is connected yet."""
    shard = shards[index]
    keys = shard.keys
    wires = _wires(settings, shard, pace)
    quick, bulk, nodes = wires.quick, wires.bulk, wires.nodes
    lease = Lease(quick, keys, _replication(settings))
    counts = Counts(bulk, keys.counts)
    assembly = HistoryAssembly(settings, shard, len(shards), bulk, counts)
    groups = assembly.group_names
    liveness.watch(("live", *assembly.stage_names))
    settled = SettledFixes(bulk, keys, groups=groups)
    cursor = LiveCursor(wires.reads, quick, keys, groups=groups)
    places = PlacesHold(bulk, keys, backlog_max=settings.backlog_max)
    trim = Trim(bulk, nodes, keys, groups=groups, live_through=cursor.checked, places=places)
    drivers = _driver_state(settings, wires, shard, lease, shards.older, pace=pace)
    population = Population(bulk, keys)
    shown, stored = _watches(settings, index)
    signs = LiveSigns(partial(liveness.advanced, "live"), lease.confirm, shown)
    live = _live_stage(settings, cursor, drivers, nodes, signs, pace=pace)
    histories = assembly.make(
        cursor, liveness, stored, backoff=pace.backoff, reclaim_s=pace.reclaim_s
    )
    chores: dict[str, Chore] = {
        "trim": trim.trim, "population": population.look,
        "counts": counts.keep, "settled": settled.even_out,
        "expire": drivers.expire, "watched": drivers.ask_watched,
    }  # fmt: skip
    chores |= {f"gauge{h.name.removeprefix('history')}": h.group.watch for h in histories}
    timed = {name: (pace.chores_s, chore) for name, chore in chores.items()}
    timed["lease"] = (RENEW_EVERY_S, lease.renew)
    if shards.epoch == FIRST_EPOCH:
        timed |= _moving(OldStream(bulk, old_shard_keys(settings.stream_name, index), keys), nodes)
    return Parts(
        wires, lease, Barrier(nodes, shards, index), settled, live, histories, trim, counts,
        population, timed,
    )  # fmt: skip


def _replication(settings: Settings) -> Replication:
    expected = parse_place(settings.redis_url).is_replicated
    return Replication(Mode(settings.replication), expected=expected)


def _driver_state(
    settings: Settings,
    wires: Wires,
    shard: Shard,
    lease: Lease,
    older: Shards | None,
    *,
    pace: WorkerPace,
) -> DriverState:
    return DriverState(
        wires.quick,
        shard,
        wires.nodes,
        WriteFence(wires.quick, shard.keys.fence, lease),
        EarlierPositions(wires.nodes, older, kept_s=settings.location_ttl),
        names_max=pace.names_max,
        location_ttl_s=settings.location_ttl,
    )


def _moving(old: OldStream, nodes: Nodes) -> dict[str, tuple[float, Chore]]:
    """The chore that empties an older release's stream; none of them could use a cluster."""
    return {} if nodes.is_cluster else {"old_stream": (LOOK_EVERY_S, old.move)}


def _watches(settings: Settings, shard: int) -> tuple[StageWatch, StageWatch]:
    """What watches the live stage, and the history stage."""
    tracing = Tracing(settings.trace_sample)
    if not tracing.on:
        return StageWatch(LIVE_AGE), StageWatch(STORE_AGE)
    return (
        StageWatch(LIVE_AGE, PageTrace(tracing, Stage.SHOWN, shard)),
        StageWatch(STORE_AGE, PageTrace(tracing, Stage.STORED, shard)),
    )


def _wires(settings: Settings, shard: Shard, pace: WorkerPace) -> Wires:
    name = f"fleetline-consumer-{shard.index}"
    new_wire, nodes = new_wires(settings.redis_url, shard.slot, name=name)

    def wire(block_s: float = 0.0) -> Wire:
        return new_wire(block_s + pace.reply_timeout_s)

    reads, quick, bulk = wire(pace.read_block_s), wire(), wire()
    return Wires(nodes or Nodes(quick), reads, quick, bulk)


def _live_stage(
    settings: Settings,
    cursor: LiveCursor,
    drivers: DriverState,
    nodes: Nodes,
    signs: LiveSigns,
    *,
    pace: WorkerPace,
) -> LiveStage:
    bindings = OrderBindings(nodes, registered_only=settings.orders == "registered")
    orders = OrderState(nodes, bindings, names_max=pace.names_max, ttl_s=settings.order_ttl_s)
    limits = LiveLimits(
        fixes=pace.page_fixes,
        block_ms=int(pace.read_block_s * 1000),
        pause_s=pace.read_pause_s,
        retries=settings.max_retries,
    )
    return LiveStage(cursor, drivers, orders, limits, signs)
