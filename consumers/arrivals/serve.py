"""`fleetline arrivals`: follows active orders until a stop signal.

Positions and orders come from Redis, ways from the road engine; the database is only told and
asked beside that. So whatever of these is away, arrivals go on with what is known, or stay as they
were with their age, and live positions never wait.
"""

import asyncio
from datetime import timedelta

import uvloop

from common.databases.seat import seats
from common.log import get
from common.metrics.role import RoleMetrics
from common.processes.background import EXPECTED, Background
from common.processes.heartbeat import Heartbeat
from common.processes.priority import step_back
from common.redis.layout_watch import LOOK_EVERY_S as LAYOUTS_EVERY_S
from common.redis.layout_watch import LayoutWatch
from common.redis.opening import new_nodes
from common.roads.opening import open_travel
from common.roads.pace_store import PaceStore
from common.settings import Settings
from common.shards import Shards
from consumers.arrivals.active_orders import ActiveOrders
from consumers.arrivals.database import ArrivalDatabase
from consumers.arrivals.lead import Lead
from consumers.arrivals.learner import NEW_AT_ONCE, PaceLearner
from consumers.arrivals.ledger import Ledger
from consumers.arrivals.numbers import ArrivalNumbers
from consumers.arrivals.places_now import DriverPlaces
from consumers.arrivals.rounds import LOOK_EVERY_S, ArrivalRounds
from consumers.arrivals.speaker import ArrivalSpeaker
from consumers.role import run_until_stopped

# Live and history go first where cores are short.
NICENESS = 10
REDIS_REPLY_TIMEOUT_S = 5.0
# What waits is two seconds of a log: a stop does not wait for a database that is away.
CLOSE_TIMEOUT_S = 0.2
FLUSH_EVERY_S = 2.0
# Past errors of thousands of predictions change slowly; trips come in all day.
ERRORS_EVERY_S = 300.0
LEARN_EVERY_S = 600.0
DROP_EVERY_S = 60.0

_log = get("arrivals")


class ArrivalsRole:
    """The parts of one process."""

    def __init__(self, settings: Settings) -> None:
        nodes = self.nodes = new_nodes(
            settings.redis_url, reply_timeout_s=REDIS_REPLY_TIMEOUT_S, name="fleetline-arrivals"
        )
        self.database = ArrivalDatabase(settings.database_url)
        self.paces = PaceStore(self.database.read)
        self.travel = open_travel(settings.roads_url, self.paces)
        self.numbers = ArrivalNumbers()
        self.lead = Lead(nodes)
        self.ledger = Ledger(self.database)
        urls = settings.databases
        self.others = [ArrivalDatabase(urls[s.number], s) for s in seats(len(urls))[1:]]
        self._learner = PaceLearner(self.database, self.others)
        drivers = DriverPlaces(nodes, Shards(settings.stream_name, settings.shards))
        self._layouts = LayoutWatch(nodes, settings.stream_name, settings.shards, drivers.adopt)
        self.rounds = ArrivalRounds(
            ActiveOrders(nodes),
            drivers,
            self.travel,
            self.paces,
            ArrivalSpeaker(
                nodes,
                self.ledger,
                self.numbers,
                ttl_s=settings.location_ttl,
                before_s=settings.arriving_minutes * 60,
            ),
            ttl=timedelta(seconds=settings.location_ttl),
        )

    async def follow(self, stopping: asyncio.Event) -> None:
        """Do all of it until `stopping`."""
        tasks = Background(_log)
        await self.nodes.start()
        try:
            tasks.every(LAYOUTS_EVERY_S, self._layouts.look, name="layout")
            tasks.every(LOOK_EVERY_S, self.look, name="arrivals")
            tasks.every(FLUSH_EVERY_S, self.ledger.flush, name="arrivals_log")
            tasks.every(ERRORS_EVERY_S, self.read_errors, name="arrivals_errors")
            tasks.every(LEARN_EVERY_S, self.learn, name="pace")
            tasks.every(DROP_EVERY_S, self.drop_old, name="arrivals_old")
            await stopping.wait()
        finally:
            await tasks.close()
            await self.close()

    async def look(self) -> None:
        """One look, if this is the process that works. Raises `EXPECTED`."""
        if await self.lead.ask(asyncio.get_running_loop().time()):
            await self.rounds.look()
            orders = self.rounds.orders
            self.numbers.looked(len(orders), orders.away, self.ledger.dropped)

    async def learn(self) -> None:
        """Learn from trips that have ended. Raises `Overloaded`."""
        await self.lead.asked.wait()
        new = False
        while self.lead.is_ours and (trips := await self._learner.read_trips()):
            new = True
            if trips < NEW_AT_ONCE:
                break
        if new:
            await self._learner.learn()
            self.paces.forget()

    async def read_errors(self) -> None:
        """Take over what came of earlier predictions. Raises `Overloaded`."""
        await self.lead.asked.wait()
        if self.lead.is_ours:
            self.rounds.errors = await self._learner.errors()

    async def drop_old(self) -> None:
        """Drop what was said long ago. Raises `Overloaded`."""
        if self.lead.is_ours:
            await self.ledger.drop_old()

    async def close(self) -> None:
        """Store what waits, if that can be done at once, and let go of everything."""
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self.lead.give_back()
                await self.ledger.flush()
        except EXPECTED as e:
            _log.warning("arrivals.unstored", error=str(e) or type(e).__name__)
        await self.travel.close()
        for database in (self.database, *self.others):
            await database.close()
        await self.nodes.close()


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Follow until SIGTERM or SIGINT. Returns the exit status."""
    step_back(NICENESS)
    uvloop.run(_serve(settings, heartbeat))
    return 0


async def _serve(settings: Settings, heartbeat: Heartbeat) -> None:
    role = ArrivalsRole(settings)
    metrics = RoleMetrics("arrivals", settings, role.numbers.put)
    drain_s = settings.drain_timeout_s
    await run_until_stopped(role.follow, heartbeat, metrics, drain_s=drain_s)
