"""The role arrivals over real servers: what it says, to whom, what it keeps and what it learns."""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import hiredis
import orjson
import pytest

from common.event import LocationUpdate, encode_event
from common.keys import (
    ARRIVALS_LEADER,
    ORDER_BUCKETS,
    order_arrival_key,
    order_book_key,
    order_bucket,
    order_key,
)
from common.orders.states import DeliveryState
from common.roads.pace import Method
from common.roads.travel import Travel
from common.roads.way import Leg, Way
from consumers.arrivals.lead import RIGHT_TTL_S
from consumers.arrivals.rounds import PARTS
from tests.roles.arrivals import DROPOFF, HERE, Arrivals, ago
from tests.servers.ingest_server import NO_DATABASE

Within = Callable[..., None]


@pytest.mark.cluster_too
def test_an_order_with_a_driver_and_a_drop_off_is_followed(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.put("nobody", dropoff=DROPOFF)
        await made.put("no-drop-off", driver_id="d")
        await made.turn()
        assert await made.kept("o") is None
        async with made.watching("o") as came:
            await made.drive("d")
            await made.turn()
            [arrival] = await came()
            assert arrival == await made.kept("o")
            assert (arrival.order_id, arrival.driver_id) == ("o", "d")
            assert arrival.method == "straight"
            assert arrival.remaining_m == pytest.approx(2224 * 1.4, rel=0.01)
            assert 0 < arrival.low_s < arrival.remaining_s < arrival.high_s
            assert await made.redis.ttl(order_arrival_key("o")) > 200
            # Nothing moved: nobody is told again.
            await made.turn()
            assert await came() == []
        assert len(made.role.rounds.orders) == 2
        for order_id in ("nobody", "no-drop-off"):
            assert await made.kept(order_id) is None

    arrivals_role(main)


def test_who_is_over_or_silent_is_followed_no_more(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        for order_id in ("over", "silent"):
            await made.put(order_id, driver_id=order_id, dropoff=DROPOFF)
        await made.drive("over")
        await made.drive("silent", at=ago(301))
        await made.turn()
        assert await made.kept("silent") is None
        assert await made.kept("over") is not None
        await made.redis.delete(order_arrival_key("over"))
        await made.move("over", DeliveryState.DELIVERED)
        await made.turn()
        assert await made.kept("over") is None
        assert len(made.role.rounds.orders) == 1

    arrivals_role(main)


def test_another_driver_is_another_arrival(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        await made.drive("e", (53.43, -2.9))
        await made.turn()
        await made.put("o", driver_id="e")
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        assert kept.driver_id == "e"
        assert kept.remaining_m == pytest.approx(1112 * 1.4, rel=0.01)

    arrivals_role(main)


def test_an_order_without_a_driver_is_that_of_who_is_shown(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", dropoff=DROPOFF)
        for driver, latitude in (("d", 53.44), ("e", 53.43)):
            now = datetime.now(UTC)
            event = encode_event(driver, LocationUpdate(latitude, -2.9, order_id="o"), now, now)
            await made.redis.set(order_key("o"), event)
            await made.redis.delete(order_arrival_key("o"))
            made.forget_what_was_said()
            await made.turn()
            kept = await made.kept("o")
            assert kept is not None
            assert kept.driver_id == driver

    arrivals_role(main)


def test_what_somebody_made_by_hand_stops_nothing(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        book = order_book_key(order_bucket("o"))
        await made.redis.hset(book, "bad", b'{"version":1')
        await made.redis.set(order_book_key((order_bucket("o") + 32) % ORDER_BUCKETS), "no book")
        for _ in PARTS:
            with contextlib.suppress(hiredis.ReplyError):
                await made.role.look()
        assert await made.kept("o") is not None

    arrivals_role(main)


def test_one_process_of_several_works(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        await made.redis.set(ARRIVALS_LEADER, "another", ex=RIGHT_TTL_S)
        await made.turn()
        assert await made.kept("o") is None
        await made.redis.delete(ARRIVALS_LEADER)
        made.role.lead._until_s = 0.0
        await made.turn()
        assert await made.kept("o") is not None
        await made.role.lead.give_back()
        assert not await made.redis.exists(ARRIVALS_LEADER)

    arrivals_role(main)


class Engine(Travel):
    """Roads that lead straight to where they must, at 10 m/s; or are away."""

    def __init__(self) -> None:
        self.asked = 0
        self.away = False

    def has_roads(self, vehicle: str) -> bool:
        return True

    async def route(self, points: Any, vehicle: str = "car") -> Way | None:
        self.asked += 1
        metres = 3000.0
        steps = ((metres / 10,), (metres,), (Leg(metres / 10, metres),))
        method: Method = "straight" if self.away else "roads"
        return Way((points[0], points[-1]), *steps, method)


def test_a_way_is_asked_for_once_and_driven_along(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        engine = made.role.rounds._travel = Engine()
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d", at=ago(2))
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        assert (kept.method, kept.remaining_m) == ("roads", 3000)
        # Half the way on; the engine is not asked, nor missed where it is away.
        engine.away = True
        await made.drive("d", (53.43, -2.9))
        async with made.watching("o") as came:
            made.forget_what_was_said()
            await made.turn()
            [arrival] = await came()
        assert (arrival.method, engine.asked) == ("roads", 1)
        assert arrival.remaining_m == pytest.approx(1500, rel=0.01)
        assert arrival.remaining_s == pytest.approx(150, abs=3)
        # Off the line: it is asked, cannot say, and the fallback answers.
        await made.drive("d", (53.43, -2.92))
        made.forget_what_was_said()
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        assert (kept.method, engine.asked) == ("straight", 2)

    arrivals_role(main)


def test_the_event_comes_before_the_door_and_once(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d", (53.43, -2.9))
        for _ in range(2):
            await made.turn()
            await made.role.ledger.flush()
        # The fence at the door finds the same.
        await made.move("o", DeliveryState.ARRIVING)
        rows = await made.database.fetch("SELECT * FROM events WHERE type = 'order.arriving'")
        assert len(rows) == 1
        data = orjson.loads(rows[0]["data"])
        assert (rows[0]["order_id"], rows[0]["driver_id"], data["cause"]) == ("o", "d", "arrival")
        assert 0 < data["remaining_s"] <= 600
        assert rows[0]["recorded_at"] is not None

    arrivals_role(main, arriving_minutes=10)


def test_predictions_are_logged_once_a_minute(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        for _ in range(3):
            await made.turn()
        await made.role.ledger.flush()
        rows = await made.database.fetch("SELECT * FROM arrival_log")
        # The minute may end meanwhile.
        assert len(rows) in {1, 2}
        assert rows[0]["low_s"] < rows[0]["remaining_s"] < rows[0]["high_s"]
        assert rows[0]["minute"] == int(rows[0]["at"].timestamp()) // 60
        await made.database.execute("UPDATE arrival_log SET at = now() - interval '15 days'")
        await made.role.drop_old()
        assert await made.database.fetchval("SELECT count(*) FROM arrival_log") == 0

    arrivals_role(main)


def test_without_the_database_arrivals_go_on(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        role = made.role
        lost, role.database._url = role.database._url, NO_DATABASE
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        await made.turn()
        assert await made.kept("o") is not None
        for chore in (role.ledger.flush, role.learn, role.read_errors, role.drop_old):
            with pytest.raises(Exception, match="database"):
                await chore()
        # It is back: what waited is stored.
        role.database._url = lost
        await role.database.close()
        await role.ledger.flush()
        assert await made.database.fetchval("SELECT count(*) FROM arrival_log") in {1, 2}

    arrivals_role(main)


def test_many_orders_in_one_turn(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        for number in range(40):
            await made.put(f"o{number}", driver_id=f"d{number % 7}", dropoff=DROPOFF)
        for number in range(7):
            await made.drive(f"d{number}", (HERE[0], HERE[1] + number * 0.001))
        await made.turn()
        kept = [await made.kept(f"o{number}") for number in range(40)]
        assert all(kept)
        assert made.role.numbers.published == 40

    arrivals_role(main)
