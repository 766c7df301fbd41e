"""Drivers nearby, ordered by how soon they can be there."""

from collections.abc import Sequence
from typing import NamedTuple

from common.contract import Vehicle
from common.roads.pace import Method
from common.roads.travel import Travel
from common.roads.way import Point
from ingest.resources.roads.places import point_of


class Comer(NamedTuple):
    """A driver with the way to the point; what sorts first is there first."""

    remaining_s: float
    remaining_m: float
    driver: bytes


async def sort_by_arrival(
    travel: Travel, drivers: Sequence[bytes], target: Point, vehicle: Vehicle
) -> tuple[list[bytes], Method]:
    """The drivers' JSON objects with `remaining_s` and `remaining_m`, and the method.

    Those from whom no road leads there come last, with null.
    """
    points = [point_of(driver) for driver in drivers]
    placed = [(d, p) for d, p in zip(drivers, points, strict=True) if p is not None]
    matrix = await travel.matrix([point for _, point in placed], [target], vehicle)
    comers, stuck = [], []
    rows = zip(placed, matrix.durations_s, matrix.distances_m, strict=True)
    for (driver, _), (seconds,), (metres,) in rows:
        if seconds is None or metres is None:
            stuck.append(driver[:-1] + b',"remaining_s":null,"remaining_m":null}')
        else:
            comers.append(Comer(seconds, metres, driver))
    comers.sort()
    return [_shown(comer) for comer in comers] + stuck, matrix.method


def _shown(comer: Comer) -> bytes:
    figures = comer.remaining_s, comer.remaining_m
    return comer.driver[:-1] + b',"remaining_s":%.1f,"remaining_m":%.1f}' % figures
