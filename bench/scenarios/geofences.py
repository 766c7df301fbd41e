"""Geofences: what a fix costs the places engine, by how many come at once. No server is asked."""

import math
import random
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from bench.context import Bench
from bench.report.result import Figure
from common.event import LocationEvent
from common.fences.fence import Fence
from common.geo.shape import LngLat, Shape
from consumers.places.rules.fence_index import FenceIndex
from consumers.places.rules.membership import NO_VISITS, Visits, follow

NAME = "geofences"
TITLE = "Geofences: 10,000 circles and 200 areas in one city, by fixes in a page"
BOUND_S = 60.0

CIRCLES, AREAS, DRIVERS = 10_000, 200, 2_000
WEST, SOUTH, EAST, NORTH = -3.2, 53.2, -2.7, 53.6
START = datetime(2026, 1, 1, tzinfo=UTC)
# Drivers go 10 m a second, and turn once in twenty.
STEP_M, TURN_SHARE = 10.0, 0.05
M_NORTH, M_EAST = 111_195.0, 66_300.0


def run(bench: Bench) -> Iterable[Figure]:
    """Drives `FenceIndex` and `follow` as `consumers.places.rules.engine` does."""
    rng = random.Random(bench.seed)
    index = FenceIndex([*circles(rng), *areas(rng)])
    fixes = _walks(rng, bench.pick(60, 10))
    for page in (50, 100, 500):
        yield _cost(index, fixes, page)


def _cost(index: FenceIndex, fixes: Sequence[LocationEvent], page: int) -> Figure:
    visits: dict[str, Visits] = {}
    events = 0
    # CPU time: what else the machine does is no part of it.
    begin_s = time.process_time()
    for first in range(0, len(fixes), page):
        part = fixes[first : first + page]
        inside = index.inside([fix.latitude for fix in part], [fix.longitude for fix in part])
        for fix, fences in zip(part, inside, strict=True):
            before = visits.get(fix.driver_id, NO_VISITS)
            if fences or before:
                after, happened = follow(before, fix, fences, index, fix.received_at)
                events += len(happened)
                if after is not before:
                    visits[fix.driver_id] = after
    cost_us = (time.process_time() - begin_s) / len(fixes) * 1e6
    label = f"10,200 geofences, pages of {page}"
    totals = {"events_a_fix": round(events / len(fixes), 4)}
    return Figure(f"geofences.{page}", label, round(cost_us, 2), "µs CPU a fix", totals=totals)


def _place(rng: random.Random) -> LngLat:
    return rng.uniform(WEST, EAST), rng.uniform(SOUTH, NORTH)


def circles(rng: random.Random) -> Iterable[Fence]:
    """CIRCLES of 75 m, `circle-0` and so on."""
    for n in range(CIRCLES):
        shape = Shape(line=(_place(rng),), reach_m=75.0)
        yield Fence(geofence_id=f"circle-{n}", name="circle", shape=shape, dwell_s=60.0)


def areas(rng: random.Random) -> Iterable[Fence]:
    """AREAS of up to 4 km across, with up to 60 corners."""
    for n in range(AREAS):
        (lng, lat), far, corners = _place(rng), rng.uniform(0.002, 0.02), rng.randint(6, 60)
        turns = [2 * math.pi * corner / corners for corner in range(corners)]
        ring = [(lng + far * math.cos(turn), lat + far * math.sin(turn) / 2) for turn in turns]
        shape = Shape(areas=(([*ring, ring[0]],),))
        yield Fence(geofence_id=f"area-{n}", name="area", shape=shape, dwell_s=60.0)


def _walks(rng: random.Random, seconds: int) -> list[LocationEvent]:
    """A fix a second of every driver, second by second."""
    walkers = [[*_place(rng), rng.uniform(0, 2 * math.pi)] for _ in range(DRIVERS)]
    found = []
    for second in range(seconds):
        when = START + timedelta(seconds=second)
        for number, walker in enumerate(walkers):
            if rng.random() < TURN_SHARE:
                walker[2] = rng.uniform(0, 2 * math.pi)
            walker[0] += math.sin(walker[2]) * STEP_M / M_EAST
            walker[1] += math.cos(walker[2]) * STEP_M / M_NORTH
            found.append(
                LocationEvent(
                    driver_id=f"driver-{number}",
                    recorded_at=when,
                    received_at=when,
                    latitude=walker[1],
                    longitude=walker[0],
                    accuracy=8.0,
                )
            )
    return found
