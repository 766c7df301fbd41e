"""What one worker process of ingest holds open, started and stopped with the server's lifespan."""

import contextlib
import gc
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from common.access.address import AddressLimiter, FrontDoors
from common.access.gate import open_gate
from common.access.watch import AccessWatch
from common.contract import BATCH_FIXES_MAX, REDIS_REPLY_TIMEOUT_S
from common.errors import Overloaded
from common.event import TimeLimits
from common.keys import FIRST_EPOCH
from common.layout import Layouts
from common.log import get
from common.metrics.reporter import REPORT_EVERY_S, Reporter
from common.metrics.snapshot import Source
from common.orders.book import OrderBook
from common.orders.book_check import BookCheck
from common.orders.keeper import ROUND_S, OrderKeeper
from common.processes.background import Background
from common.redis.opening import new_nodes
from common.redis.place import parse_place
from common.redis.replication import Mode
from common.roads.opening import open_travel
from common.roads.pace_store import PaceStore
from common.roads.travel import REST_S
from common.settings import Settings
from common.settings.lists import parse_networks
from common.shards import Shards
from ingest.apps.app_counts import WRITE_EVERY_S, AppCounts
from ingest.http.access import Access
from ingest.intake.backlog import Backlog
from ingest.intake.clock import Clock
from ingest.intake.intake import Intake
from ingest.intake.pace import FixPace, Unlimited
from ingest.intake.per_driver import Limit, PerDriver
from ingest.intake.producer import Producer
from ingest.intake.validate import Validator
from ingest.intake.writer.stream_writer import StreamWriter
from ingest.intake.writer.turns import REPLICAS_EVERY_S, Turns
from ingest.numbers import WorkerNumbers
from ingest.resources.events import DROP_EVERY_S, drop_old
from ingest.resources.health import PROBE_TIMEOUT_S
from ingest.resources.histories import Histories
from ingest.resources.live_positions import LivePositions
from ingest.resources.orders.desk import OrderDesk

# Bytes of commands that may wait for replies of Redis in one worker, then 503: what a Redis that
# stands still for `REDIS_REPLY_TIMEOUT_S` may cost in memory.
INFLIGHT_BYTES_MAX = 64 * 1_048_576
# Bytes that may gather for the next write: once it leaves it must fit beside its commands' own
# bytes and what is asked of Redis meanwhile.
GATHERED_BYTES_MAX = INFLIGHT_BYTES_MAX // 2
# Connections for reads of the history. `ReadLimiter` lets two routes run; two are spare.
DATABASE_CONNECTIONS_MAX = 4
# Connections for orders, and how long a question may take: a lock of a row or of the events is
# held for milliseconds.
ORDER_CONNECTIONS_MAX = 2
ORDER_TIMEOUT_S = 5.0
# Objects that may have been made, and not freed, before cycles are looked for (Python: 700).
# Requests in flight are some tens of objects each, so this is past a few hundred of them; cycles
# (errors with tracebacks) may pile up to a few MB until then.
COLLECT_AFTER = 50_000


def spare_the_collector() -> None:
    """Make the cycle collector rare: a request leaves no cycles, and looking cost 15 % of CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


class IngestWorker:
    """The connections and the state that the resources of one process share.

    `tell` is given its numbers, and those that `more` counts.
    """

    def __init__(
        self, settings: Settings, tell: Callable[[bytes], None] | None, more: Source
    ) -> None:
        self.nodes = new_nodes(
            settings.redis_url,
            reply_timeout_s=REDIS_REPLY_TIMEOUT_S,
            inflight_bytes_max=INFLIGHT_BYTES_MAX,
            name="ingest",
        )
        self.shards = Shards(settings.stream_name, settings.shards)
        turns = self._turns = self._new_turns(settings)
        self.backlog = Backlog(self.nodes, self.shards, turns, settings.backlog_max, self.adopt)
        self.live = LivePositions(self.nodes, self.shards, settings.location_ttl)
        self.history = Histories(
            settings.databases,
            connections_max=DATABASE_CONNECTIONS_MAX,
            timeout_s=settings.route_timeout_s,
        )
        # Connections of their own: a backend that registers an order waits for no route.
        book = OrderBook(self.nodes, position_ttl_s=settings.order_ttl_s)
        order_histories = Histories(
            settings.databases,
            connections_max=ORDER_CONNECTIONS_MAX,
            timeout_s=min(settings.route_timeout_s, ORDER_TIMEOUT_S),
        )
        order_database = order_histories.home
        self.paces = PaceStore(order_database.read)
        self.travel = open_travel(settings.roads_url, self.paces, REST_S)
        self.orders = OrderDesk(order_histories, book, self.live)
        self.keeper = OrderKeeper(
            settings.database_url,
            book,
            BookCheck(self.nodes, book),
            gap_s=settings.gap_s,
            fixes=order_histories.read_of if len(settings.databases) > 1 else None,
        )
        # A connection of its own: slow routes that hold all others do not mean "down".
        self.pulse = Histories(
            settings.databases, connections_max=1, timeout_s=PROBE_TIMEOUT_S * 0.9
        )
        self._drop_old_events = partial(drop_old, order_database, settings.events_retention_days)
        self.gate = open_gate(settings)
        self.access = Access(
            self.gate,
            AddressLimiter(settings.refusals_per_address_max),
            FrontDoors(parse_networks("FRONT_DOORS", settings.front_doors)),
        )
        self.limits = TimeLimits(settings.clock_skew_max_s, settings.event_age_max_s)
        self.intake = self._new_intake(settings)
        self.app_counts = AppCounts(self.nodes)
        numbers = WorkerNumbers(self.intake, turns, self.backlog, self.app_counts, self.nodes)
        self._reporter = None if tell is None else Reporter(tell, numbers.put, more)
        self._watch = None if self.gate is None else AccessWatch(self.nodes, self.gate)
        self._background = Background(get("ingest"))

    def _new_turns(self, settings: Settings) -> Turns:
        return Turns(
            self.nodes,
            self.shards,
            gap_s=settings.pack_gap_ms / 1000,
            timeout_s=REDIS_REPLY_TIMEOUT_S,
            bytes_max=GATHERED_BYTES_MAX,
            trace_sample=settings.trace_sample,
            replication=Mode(settings.replication),
            replicated=parse_place(settings.redis_url).is_replicated,
        )

    def _new_intake(self, settings: Settings) -> Intake:
        pace: FixPace = Unlimited()
        if settings.rate_fixes_per_s:
            pace = PerDriver(Limit(settings.rate_fixes_per_s, settings.rate_burst))
        self._writer = StreamWriter(self._turns, self.shards, self.backlog.capacity, pace.terms)
        validator = Validator(Clock(), self.limits)
        return Intake(Producer(self._writer, pace), validator, BATCH_FIXES_MAX)

    def adopt(self, layouts: Layouts) -> bool:
        """Write to the shards of these layouts from now on, and read from both; False: refuse.

        All in one step: a fix goes to its shard of the one or of the other. A number that was set
        wrong from the beginning is no change.
        """
        now, before = layouts.now, layouts.before
        if now.epoch == FIRST_EPOCH and now != self.shards.layout:
            return False
        stream_name, coming = self.shards.stream_name, layouts.coming
        shards = Shards(stream_name, *now, before)
        if now != self.shards.layout:
            get("ingest").info("shards.adopted", shards=now.shards, epoch=now.epoch)
            self._turns.adopt(shards)
            self.backlog.adopt(shards)
        self.backlog.follow(shards)
        self._writer.adopt(shards)
        self.live.adopt(shards, Shards(stream_name, *coming) if coming is not None else None)
        self.shards = shards
        return True

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Connect. Returns also when Redis is down: then fixes are refused until it is back."""
        spare_the_collector()
        await self.nodes.start()
        with contextlib.suppress(Overloaded):
            # Asked again soon; until then a write waits where a replica is to be expected.
            await self._turns.look_for_replicas()
        await self.backlog.poll()
        self._background.run(self.backlog.run(), name="backlog")
        self._background.every(WRITE_EVERY_S, self.app_counts.write, name="app_counts")
        self._background.every(ROUND_S, self.keeper.round, name="orders")
        self._background.every(DROP_EVERY_S, self._drop_old_events, name="events")
        self._background.every(REPLICAS_EVERY_S, self._turns.look_for_replicas, name="replicas")
        if self._reporter is not None:
            self._background.every(REPORT_EVERY_S, self._reporter.report, name="report")
        if self._watch is not None:
            await self._watch.start()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Stop and close, in reverse order; requests have been answered by now."""
        await self.history.close()
        await self.pulse.close()
        await self.travel.close()
        await self.orders.histories.close()
        await self._background.close()
        await self.keeper.close()
        await self.app_counts.close()
        if self._watch is not None:
            await self._watch.stop()
        await self.nodes.close()
        if self._reporter is not None:
            self._reporter.report_now()
