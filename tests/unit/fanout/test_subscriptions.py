"""Nobody is ever silently deaf: joins, leaves, releases and reconnects in any order.

What Redis is subscribed to is what is watched, and every session is shown what is published, once
all has settled, whatever happened before.
"""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.frame import update_frame
from common.keys import order_key
from fanout.orders.hub import Channel
from fanout.orders.subscriptions import Subscriptions
from fanout.sockets.counts import FanoutCounts
from fanout.sockets.protocol import text_frame
from tests.pubsub import FakeRedis
from tests.servers.fanout_server import event
from tests.virtual import run_virtually
from tests.wait import pace

REPLY_TIMEOUT_S = 1.5
LINGER_S = 1.0
UNREAD_MAX_S = 10.0
EXTRA = b"fleet:0"


async def until(check: Callable[[], bool], timeout_s: float) -> None:
    """Wait, in the time of the loop, until `check` holds."""
    async with asyncio.timeout(timeout_s):
        while not check():
            await pace(0.05)


class Customer:
    """Remembers the last frame."""

    __slots__ = ("channel", "frame", "postponed")

    def __init__(self) -> None:
        self.channel: Channel
        self.frame: bytes | None = None
        self.postponed = 0

    def offer_beside(self, frame: bytes) -> None:
        """An arrival."""

    def offer(self, frame: bytes) -> None:
        self.frame = frame

    def end(self, frame: bytes) -> None:
        raise AssertionError

    def postpone(self) -> None:
        self.postponed += 1


class Town:
    """Customers of many orders, in a fan-out whose Redis is a `FakeRedis`."""

    def __init__(self, redis: FakeRedis, subscriptions: Subscriptions) -> None:
        self.redis = redis
        self.subscriptions = subscriptions
        self.customers: list[Customer] = []
        self.heard: list[bytes] = []

    def join(self, order: int) -> Customer:
        customer = Customer()
        customer.channel = self.subscriptions.join(f"o{order}", customer)
        self.customers.append(customer)
        return customer

    def leave(self, customer: Customer) -> None:
        self.subscriptions.leave(customer.channel, customer)

    async def settled(self) -> None:
        hub = self.subscriptions.hub
        await until(lambda: self.subscriptions.synced, timeout_s=120)
        await until(
            lambda: all(c.watched and not c.waiting for c in hub.channels.values()), timeout_s=120
        )
        await pace(2 * REPLY_TIMEOUT_S)

    async def check(self, number: int) -> None:
        """Publish to everybody: everybody is shown it, and Redis sends nothing else."""
        await self.settled()
        watched = {customer.channel.name for customer in self.customers}
        assert self.redis.subscribed - {EXTRA} == watched
        for order_id, channel in self.subscriptions.hub.channels.items():
            self.redis.publish(channel.name, event(number, order_id))
        self.redis.publish(EXTRA, b"%d" % number)
        await pace(2 * REPLY_TIMEOUT_S)
        deaf = [
            customer.channel.order_id
            for customer in self.customers
            if customer.frame != text_frame(update_frame(event(number, customer.channel.order_id)))
        ]
        assert deaf == []
        assert self.heard[-1:] == [b"%d" % number]


@contextlib.asynccontextmanager
async def town(rng: random.Random) -> AsyncIterator[Town]:
    redis = FakeRedis(lambda: rng.choice((0.0, 0.0, 0.001, 0.02, 0.2)))
    subscriptions = Subscriptions(
        lambda _: redis.connect,
        redis.read,
        FanoutCounts(),
        reply_timeout_s=REPLY_TIMEOUT_S,
        linger_s=LINGER_S,
        unread_max_s=UNREAD_MAX_S,
    )
    made = Town(redis, subscriptions)
    subscriptions.watch(EXTRA, made.heard.append)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(subscriptions.run())
        yield made
        running.cancel()


@pytest.mark.parametrize("back_within_s", [2.0, 3.0, 6.0])
def test_all_come_back_while_their_channels_are_released(back_within_s: float) -> None:
    """Regression: of 10,000 whose proxy restarted, a hundred stayed deaf for ever."""

    async def main() -> None:
        rng = random.Random(1)
        async with town(rng) as here:
            gone = [here.join(n) for n in range(10_000)]
            await here.check(1)
            here.customers.clear()
            for customer in gone:
                here.leave(customer)
            loop = asyncio.get_running_loop()
            began = loop.time()
            for at, order in sorted((rng.uniform(0.1, back_within_s), n) for n in range(10_000)):
                await pace(began + at - loop.time())
                here.join(order)
            await here.check(2)

    run_virtually(main())


ACTS = ("join", "join", "leave", "leave", "wait", "linger", "cut", "slow", "away", "refuse")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(ACTS), st.integers(1, 1500)), max_size=25),
)
def test_any_order_of_joins_leaves_releases_and_reconnects(
    seed: int, acts: list[tuple[str, int]]
) -> None:
    async def main() -> None:
        rng = random.Random(seed)
        async with town(rng) as here:
            for act, count in acts:
                await play(here, rng, act, count)
            await here.check(len(acts) + 1)
            for customer in here.customers:
                here.leave(customer)
            here.customers.clear()
            await until(lambda: not here.subscriptions.hub.channels, timeout_s=30)
            await here.check(len(acts) + 2)

    run_virtually(main())


async def play(here: Town, rng: random.Random, act: str, count: int) -> None:
    redis = here.redis
    if act == "join":
        for _ in range(count):
            here.join(rng.randrange(2000))
    elif act == "leave":
        rng.shuffle(here.customers)
        for customer in here.customers[:count]:
            here.leave(customer)
        del here.customers[:count]
    elif act == "wait":
        await pace(count / 5000)
    elif act == "linger":
        await pace(LINGER_S + count / 5000)
    elif act == "cut":
        redis.cut()
    elif act == "slow":
        # Replies beyond their deadline.
        before, redis.delay_s = redis.delay_s, lambda: rng.uniform(0.5, 2.0)
        await pace(count / 200)
        redis.delay_s = before
    elif act == "away":
        redis.away = True
        redis.cut()
        await pace(count / 500)
        redis.away = False
    elif act == "refuse":
        redis.refuses = True
        await pace(count / 500)
        redis.refuses = False
    # What was published in every gap is in the snapshots.
    for order in rng.sample(range(2000), 20):
        redis.publish(order_key(f"o{order}").encode(), event(0, f"o{order}"))


def test_a_connection_that_is_made_and_cut_is_not_made_without_pause() -> None:
    """Regression: 221 connections in 3 s, each with all subscriptions."""

    async def main() -> None:
        async with town(random.Random(1)) as here:
            here.join(1)
            for _ in range(600):
                await pace(0.1)
                here.redis.cut()
            assert 30 < here.redis.made < 150
            await here.check(1)

    run_virtually(main())


def test_who_cannot_be_served_is_told_to_try_later() -> None:
    """A socket that is open and shows nothing looks like an order without a position."""

    async def main() -> None:
        async with town(random.Random(1)) as here:
            before = here.join(1)
            await here.check(1)
            here.redis.away = True
            here.redis.cut()
            during = here.join(1)
            await pace(UNREAD_MAX_S - 1)
            assert during.postponed == 0
            await pace(3)
            assert during.postponed == 1
            here.leave(during)
            here.customers.remove(during)
            # Who was shown something before stays.
            here.redis.away = False
            await here.check(2)
            assert before.postponed == 0

    run_virtually(main())
