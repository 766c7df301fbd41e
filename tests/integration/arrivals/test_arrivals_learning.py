"""What the role arrivals learns: pace from trips, and corrections from its own past errors."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from common.orders.states import DeliveryState
from common.roads.pace import Pace
from common.roads.pace_fit import PaceSample
from consumers.arrivals.learner import NEW_AT_ONCE
from consumers.arrivals.past_errors import ORDERS_MIN
from tests.integration.insight.insight_history import row, store
from tests.roles.arrivals import DROPOFF, Arrivals

START = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
Within = Callable[..., None]


async def driven(made: Arrivals, driver: str, begun: datetime, minutes: int = 20) -> None:
    """A trip to the north at 5 m/s, and its fixes."""
    steps = minutes * 4
    places = [
        (begun + timedelta(seconds=15 * n), 53.4 + n * 75 / 111_195, -2.9) for n in range(steps)
    ]
    await store(made.database, [row(driver, *place) for place in places], marked=False)
    await made.database.execute(
        "INSERT INTO trips VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10, false)",
        *(driver, begun, places[-1][0], *places[0][1:], *places[-1][1:]),
        *(steps * 75 * 1.2, steps * 15.0, steps),
    )  # fmt: skip


def test_pace_is_learned_from_trips(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.role.lead.ask(0.0)
        await made.put("job", driver_id="cyclist", vehicle="bicycle", dropoff=DROPOFF)
        await made.database.execute("UPDATE orders SET new_at = $1, assigned_at = $1", START)
        for number in range(3):
            await driven(made, f"walker-{number}", START)
        await driven(made, "cyclist", START)
        assert (await made.role.paces.pace("car")).method == "straight"
        await made.role.learn()
        pace: Pace = await made.role.paces.pace("car")
        assert pace.method == "history"
        assert pace.fit is not None
        assert pace.fit.trips == 4
        assert pace.fit.detour == pytest.approx(1.2, rel=0.02)
        # As they drove: 5 m/s.
        assert pace.estimate(3000, 5.0).seconds == pytest.approx(600, rel=0.15)
        kinds = await made.database.fetch("SELECT vehicle FROM pace_fits ORDER BY vehicle")
        assert [kind["vehicle"] for kind in kinds] == ["", "bicycle"]
        # A trip is read once, and none again.
        reads = await made.role._learner.read_trips()
        assert reads == 0 < NEW_AT_ONCE
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d")
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        assert kept.method == "history"

    arrivals_role(main)


def test_a_trip_whose_fixes_are_gone_is_passed_over(arrivals_role: Within) -> None:
    async def main(made: Arrivals) -> None:
        await made.role.lead.ask(0.0)
        await driven(made, "gone", START)
        await made.database.execute("DELETE FROM locations")
        await made.role.learn()
        assert (await made.role.paces.pace()).method == "straight"
        assert await made.role._learner.read_trips() == 0

    arrivals_role(main)


def test_what_came_of_predictions_corrects_the_next(arrivals_role: Within) -> None:
    """The straight line says 10 minutes; it always took 15 to 20."""

    async def main(made: Arrivals) -> None:
        await made.role.lead.ask(0.0)
        for number in range(ORDERS_MIN):
            name = f"past-{number}"
            await made.put(name, driver_id="p", dropoff=DROPOFF)
            said = START + timedelta(minutes=number)
            await made.move(name, DeliveryState.DELIVERED)
            arrived = said + timedelta(minutes=15 + 5 * number / ORDERS_MIN)
            await made.database.execute(
                "UPDATE orders SET delivered_at = $2 WHERE order_id = $1", name, arrived
            )
            await made.database.execute(
                "INSERT INTO arrival_log VALUES ($1, $2, $3, 'p', 'straight', 600, 600, 400, 900)",
                *(name, int(said.timestamp()) // 60, said),
            )
        await made.role.read_errors()
        await made.put("o", driver_id="d", dropoff=DROPOFF)
        await made.drive("d", (53.44, -2.9))
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        plain = Pace().estimate(2224).seconds
        assert kept.remaining_s == pytest.approx(plain * 1.75, rel=0.03)
        assert kept.low_s == pytest.approx(plain * 1.55, rel=0.03)
        assert kept.high_s == pytest.approx(plain * 1.95, rel=0.03)

    arrivals_role(main)


def test_a_sample_is_what_it_was(arrivals_role: Within) -> None:
    """Speeds that were not known come back as such."""

    async def main(made: Arrivals) -> None:
        await driven(made, "d", START, minutes=3)
        await made.role._learner.read_trips()
        kept = await made.database.fetchval("SELECT samples FROM pace_trips")
        first = PaceSample(*kept[:3])
        assert first.recent_mps != first.recent_mps
        assert first.seconds == pytest.approx(165)

    arrivals_role(main)
