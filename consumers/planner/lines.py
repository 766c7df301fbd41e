"""The lines of a plan's routes on the roads, for those who draw them."""

import asyncio
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from common.contract import Vehicle
from common.geo.simplify import simplify
from common.roads.travel import Travel
from common.roads.way import Point, Way

# For all lines of a plan: one that has none is a plan too.
LINES_TIMEOUT_S = 1.0
# Metres by which a line may leave the road: no difference to the eye, and a tenth of the points.
TOLERANCE_M = 10.0
DIGITS = 6

GeoLine = dict[str, Any]


async def lines_of(
    routes: Sequence[Sequence[Point]], travel: Travel, vehicle: Vehicle
) -> list[GeoLine | None]:
    """A GeoJSON LineString of each route; None where the roads do not know it in time."""
    tasks = [asyncio.create_task(travel.route(points, vehicle)) for points in routes]
    if not tasks:
        return []
    try:
        await asyncio.wait(tasks, timeout=LINES_TIMEOUT_S)
    finally:
        for task in tasks:
            task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    return [line_of(way) if isinstance(way, Way) else None for way in ended]


def line_of(way: Way) -> GeoLine | None:
    """The line of a way on the roads; None for one that only guesses."""
    if way.method != "roads" or len(way.points) < 2:
        return None
    times = accumulate(way.step_s, initial=0.0)
    timed = [(at_s, *point) for at_s, point in zip(times, way.points, strict=True)]
    kept = simplify(timed, TOLERANCE_M)
    points = [way.points[index] for index in kept]
    return {
        "type": "LineString",
        "coordinates": [[round(lng, DIGITS), round(lat, DIGITS)] for lat, lng in points],
    }
