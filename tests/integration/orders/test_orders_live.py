"""Whose fixes are shown as an order's: its driver's, once it has one, however it came to that."""

from collections.abc import Callable
from typing import Any

import hiredis
import pytest

from common.keys import ORDER_CHANGES
from tests.clients.ws import watching
from tests.roles.orders import BOOK, KEY, A, B, Orders
from tests.servers.fanout_server import fanout
from tests.wait import until


def test_only_the_driver_that_an_order_names_is_shown(within: Any) -> None:
    """Any driver could take over any order's marker by naming it."""

    async def main(made: Orders) -> None:
        await made.put(driver_id=A)
        for _ in range(3):
            sent = await made.send(A)
            await made.send(B)
            assert await made.it.redis.get(KEY) == sent
        # Stored all the same, with their order.
        await until(lambda: made.it.database.fetchval("SELECT count(*) = 6 FROM locations"))

    within(main)


def test_a_position_from_before_is_not_kept(within: Any) -> None:
    async def main(made: Orders) -> None:
        await made.send(B)
        assert await made.shows() == B
        await made.put(driver_id=A)
        assert await made.shows() is None
        await made.shown_at_last(A)
        # What B's worker wrote before it knew is mended by the keeper.
        await made.it.redis.set(KEY, await made.send(B))
        await made.keeper.round()
        assert await made.shows() is None

    within(main)


def test_watchers_move_with_the_order(within: Any, redis_server: Any) -> None:
    """To the new driver without a reconnect; who comes meanwhile is not shown the old one."""

    async def main(made: Orders) -> None:
        async with fanout(redis_server.url) as server:
            port = server.settings.fanout_port
            hub = server.subscriptions.hub
            await made.put(driver_id=A)
            async with watching(port, "o") as early:
                await until_true(lambda: "o" in hub.channels and bool(hub.channels["o"].live))
                await made.send(A)
                assert (await early.json())["data"]["driver_id"] == A
                await made.put(driver_id=B)
                await until_true(lambda: hub.channels["o"].last is None)
                async with watching(port, "o") as late:
                    await until_true(lambda: len(hub.channels["o"].live) == 2)
                    await made.shown_at_last(B)
                    for client in (early, late):
                        assert (await client.json())["data"]["driver_id"] == B
                await made.hidden_at_last(A)
                await made.shown_at_last(B)

    within(main)


async def until_true(condition: Callable[[], bool]) -> None:
    async def asked() -> bool:
        return condition()

    await until(asked)


def test_registered_shows_nobody_for_an_order_that_nobody_registered(within: Any) -> None:
    async def main(made: Orders) -> None:
        await made.send(A)
        await made.send(A, "other")
        assert (await made.shows(), await made.shows("other")) == (None, None)
        # Without a driver it is anybody's, as before; and in place within a second.
        await made.put()
        await made.shown_at_last(B)
        assert await made.shows("other") is None
        await made.put(driver_id=A)
        await made.shown_at_last(A)

    within(main, orders="registered")


def test_keys_that_somebody_made_by_hand_stop_nobody(within: Any) -> None:
    async def main(made: Orders) -> None:
        await made.it.redis.set(ORDER_CHANGES, "x")
        await made.it.redis.set(BOOK, "x")
        await made.send(A)
        assert await made.shows() == A
        with pytest.raises(hiredis.ReplyError):
            await made.put(driver_id=B)

    within(main)
