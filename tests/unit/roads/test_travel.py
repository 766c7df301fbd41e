"""The fallback of large matrices leaves room for others."""

import asyncio
import itertools

from common.roads.engine import RoadEngine
from common.roads.pace import Pace
from common.roads.travel import CELLS_AT_ONCE, StraightPaces, Travel, straight_matrix

PLACES = [(52 + n / 1000, 13 + n / 999) for n in range(100)]


def test_others_have_their_turns_while_a_matrix_is_worked_out():
    """And two matrices take as many turns as one after the other."""
    turns = itertools.count()

    def others() -> None:
        next(turns)
        asyncio.get_running_loop().call_soon(others)

    async def ask() -> None:
        travel = Travel(RoadEngine({}), StraightPaces())
        others()
        found = await asyncio.gather(*(travel.matrix(PLACES, PLACES) for _ in range(2)))
        assert found[0] == found[1] == straight_matrix(PLACES, PLACES, Pace(vehicle="car"))
        assert (await travel.matrix([], PLACES)).durations_s == []
        assert (await travel.matrix(PLACES[:2], [])).durations_s == [[], []]

    asyncio.run(ask())
    assert next(turns) >= 2 * len(PLACES) ** 2 / CELLS_AT_ONCE
