"""`fleetline places`: follows the live positions until a stop signal.

It reads the streams as the consumers do, but nothing waits for it: a thousand fences delay nobody.
Any trouble with the database ends the turns; they begin again from what is stored there.
"""

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import asyncpg
import uvloop
from redis.exceptions import RedisError

from common.backoff import Backoff
from common.databases.connecting import ConnectionTerms, connect
from common.databases.seat import HOME
from common.keys import FIRST_EPOCH
from common.log import Repeated, get
from common.metrics.role import RoleMetrics
from common.orders.book import OrderBook
from common.processes.background import Background, keep_beating
from common.processes.heartbeat import Heartbeat
from common.processes.priority import step_back
from common.processes.signals import set_on_stop
from common.redis.meta import check_meta
from common.redis.opening import new_nodes
from common.settings import Settings
from common.shards import Shards
from consumers.places.fence_book import FenceBook
from consumers.places.holding import StreamHold
from consumers.places.inheritance import forget_earlier, inherit
from consumers.places.layouts import Followed, LayoutFollower
from consumers.places.numbers import PlacesNumbers
from consumers.places.order_follower import OrderFollower
from consumers.places.publisher import PAGE, PAGE_GAP_S, EventPublisher
from consumers.places.reader import StreamReader
from consumers.places.store import PlacesStore
from consumers.places.turns import TURN_S, PlacesTurns
from consumers.role import TROUBLE, over_connections
from consumers.shares import Shares

# First key of the advisory locks on shards: "plac" as bytes.
LOCK_CLASS = 0x706C6163
# How often it is seen whether other processes want shards, or have left some.
BALANCE_EVERY_S = 2.0
# Live and history go first where cores are short.
NICENESS = 5
# As in a worker: a page makes ten thousands of objects, none in a cycle.
GC_OBJECTS = 50_000
CONNECT_TIMEOUT_S = 5.0
# A turn writes some rows; loading reads a snapshot. More says that the database does not answer.
STATEMENT_TIMEOUT_S = 15.0
REDIS_REPLY_TIMEOUT_S = 5.0
RETRY = Backoff(first_s=0.1, most_s=2.0)

_log = get("places")


class PlacesRole:
    """The parts of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.nodes = new_nodes(
            settings.redis_url, reply_timeout_s=REDIS_REPLY_TIMEOUT_S, name="fleetline-places"
        )
        self._book = OrderBook(self.nodes, position_ttl_s=settings.order_ttl_s)
        self._layouts = LayoutFollower(self.nodes, settings.stream_name, settings.shards)
        self.hold = StreamHold(self.nodes, Shards(settings.stream_name, settings.shards))
        self.numbers = PlacesNumbers()

    async def follow(self, connection: asyncpg.Connection, well: Callable[[], None]) -> None:
        """Take turns for the shards that this process gets. Raises `consumers.role.TROUBLE`."""
        fences, orders = FenceBook(), OrderFollower(connection)
        await orders.start()
        while True:
            followed = await self._layouts.look(connection)
            # Until it is known again how far they are stored, streams are kept as they were.
            self.hold.follow(followed.shards, followed.waiting)
            # Each layout has locks of its own.
            lock_class = LOCK_CLASS + followed.shards.epoch - FIRST_EPOCH
            shares = Shares(connection, lock_class, len(followed.shards))
            held: set[int] | None = None
            tidy = False
            while (now := await self._layouts.look(connection)).layouts == followed.layouts:
                found = set(await shares.balance())
                if found != held:
                    held = found
                    turns = await self._turns(connection, followed, held, (fences, orders))
                    self.hold.stored = turns.stored
                    self.numbers.follow(turns)
                    _log.info("places.follows", shards=sorted(held), epoch=followed.shards.epoch)
                await _take_turns(turns, self.numbers, time.monotonic() + BALANCE_EVERY_S)
                if now.alone and not tidy:
                    await forget_earlier(connection, followed.shards)
                    tidy = True
                well()
            await shares.leave()

    async def publish(self, connection: asyncpg.Connection, well: Callable[[], None]) -> None:
        """Publish what happened, if no other process does. Raises `consumers.role.TROUBLE`."""
        publisher = EventPublisher(connection, self.nodes)
        await publisher.begin()
        while True:
            if await publisher.publish() < PAGE:
                await publisher.wait()
            else:
                await asyncio.sleep(PAGE_GAP_S)
            well()

    async def _turns(
        self,
        connection: asyncpg.Connection,
        followed: Followed,
        held: set[int],
        around: tuple[FenceBook, OrderFollower],
    ) -> PlacesTurns:
        """Turns that go on where these shards were stored."""
        fences, orders = around
        store = PlacesStore(connection, followed.shards)
        ttl = timedelta(seconds=self._settings.location_ttl)
        await inherit(connection, followed.shards, held, ttl)
        engine, places = await store.load(held, ttl, self._settings.order_radius_m)
        return PlacesTurns(
            engine=engine,
            store=store,
            reader=StreamReader(self.nodes, followed.shards, places),
            fences=fences,
            orders=orders,
            moved=self._book.write,
        )


async def _take_turns(turns: PlacesTurns, numbers: PlacesNumbers, until_s: float) -> None:
    while (now_s := time.monotonic()) < until_s:
        more = await turns.turn()
        numbers.turned()
        if not more:
            await asyncio.sleep(max(0.0, now_s + TURN_S - time.monotonic()))


def run(settings: Settings, heartbeat: Heartbeat) -> int:
    """Follow until SIGTERM or SIGINT. Returns the exit status; raises `ConfigError`."""
    step_back(NICENESS)
    gc.set_threshold(GC_OBJECTS, *gc.get_threshold()[1:])
    uvloop.run(_serve(settings, heartbeat))
    return 0


async def _serve(settings: Settings, heartbeat: Heartbeat) -> None:
    stopping = asyncio.Event()
    set_on_stop(asyncio.get_running_loop(), stopping)
    role, tasks = PlacesRole(settings), Background(_log)
    await role.nodes.start()
    try:
        tasks.run(keep_beating(heartbeat), name="heartbeat")
        tasks.run(RoleMetrics("places", settings, role.numbers.put).run(), name="metrics")
        await _check(settings, stopping)
        await _require_home(settings)
        tasks.every(1.0, role.hold.tell, name="hold")
        # A commit in each turn that waits for the disk holds up those that the fixes wait for.
        works = (("places", role.follow, "off"), ("events", role.publish, "on"))
        for name, work, waits in works:
            terms = _terms(name, waits)
            connecting = partial(connect, settings.database_url, terms)
            trouble = Repeated(_log, f"{name}.waiting")
            tasks.run(over_connections(connecting, work, stopping, trouble, RETRY), name=name)
        await stopping.wait()
    finally:
        # A turn that is under way is rolled back, and done again by the next process.
        stopping.set()
        await tasks.close()
        await role.nodes.close()


async def _check(settings: Settings, stopping: asyncio.Event) -> None:
    """See that the data are of this layout. A Redis that is away is asked again."""
    trouble = Repeated(_log, "places.waiting")
    attempt = 0
    while not stopping.is_set():
        try:
            await check_meta(settings.redis_url, settings.shards, settings.stream_name)
        except (RedisError, OSError) as e:
            trouble.failed(error=str(e))
            await asyncio.sleep(RETRY.delay_s(attempt))
            attempt += 1
        else:
            trouble.healed()
            return


async def _require_home(settings: Settings) -> None:
    """Raise `ConfigError` where turns could not be taken whatever happens."""
    with contextlib.suppress(*TROUBLE):
        connection = await connect(settings.database_url, _terms("places", "on"))
        connection.terminate()


def _terms(name: str, synchronous_commit: str) -> ConnectionTerms:
    return ConnectionTerms(
        f"fleetline-{name}",
        CONNECT_TIMEOUT_S,
        STATEMENT_TIMEOUT_S,
        session={"jit": "off", "synchronous_commit": synchronous_commit},
        seat=HOME,
        needs_session="fleetline places",
    )
