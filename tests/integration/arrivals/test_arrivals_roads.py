"""Arrivals on roads: a real engine over a made-up map, driven along, and killed."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from tests.roles.arrivals import Arrivals
from tests.roles.roads import STREET_M, EngineThread, engine, make_store, needs_engine, place

pytestmark = needs_engine
# Six streets to the east: there is one shortest way.
HOME = place(6, 0)


@pytest.fixture(scope="module")
def roads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineThread]:
    with engine(make_store(tmp_path_factory.mktemp("roads"))) as thread:
        yield thread


def test_it_is_driven_along_the_streets_and_outlives_the_engine(
    arrivals_role: Callable[..., None], roads: EngineThread
) -> None:
    async def main(made: Arrivals) -> None:
        latitude, longitude = HOME
        await made.put("o", driver_id="d", dropoff={"latitude": latitude, "longitude": longitude})
        left = []
        for driven in range(4):
            if driven == 2:
                assert roads.server.pid is not None
                os.kill(roads.server.pid, signal.SIGKILL)
            await made.drive("d", place(driven, 0))
            made.forget_what_was_said()
            await made.turn()
            kept = await made.kept("o")
            assert kept is not None
            assert kept.method == "roads"
            left.append(kept.remaining_m)
        assert left == pytest.approx([(6 - n) * STREET_M for n in range(4)], rel=0.03)
        # Far off its line nobody can say where the roads lead.
        await made.drive("d", place(-9, -9))
        made.forget_what_was_said()
        await made.turn()
        kept = await made.kept("o")
        assert kept is not None
        assert kept.method == "straight"

    arrivals_role(main, roads_url=roads.url)
