"""The road engine over a made-up map: what it says, and what becomes of who asks when it dies."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator

import pytest

from common.geo.sphere import distance_m
from common.roads.engine import RoadEngine
from common.roads.osrm import EngineAway, NoRoads
from common.roads.thin import TraceFix, thin
from common.roads.trace_match import match_trace
from common.roads.travel import StraightPaces, Travel
from common.roads.way import Point
from deploy.roads.graphs import GraphStore
from deploy.roads.metric import HourSpeeds, customize
from deploy.roads.server import listens
from tests.freezing import frozen
from tests.roles.roads import (
    SIDE,
    STREET_M,
    EngineThread,
    engine,
    make_store,
    needs_engine,
    node,
    place,
)
from tests.wait import pace, wait_until

pytestmark = needs_engine


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> GraphStore:
    return make_store(tmp_path_factory.mktemp("roads"), island=True)


@pytest.fixture(scope="module")
def roads(store) -> Iterator[EngineThread]:
    with engine(store) as thread:
        yield thread


@pytest.fixture(autouse=True)
def patient(monkeypatch) -> None:
    """A machine that is busy with other tests is no engine that is away."""
    monkeypatch.setattr("common.roads.exchange.ANSWER_TIMEOUT_S", 20.0)
    monkeypatch.setattr("common.roads.engine.TOTAL_TIMEOUT_S", 60.0)


def ask(roads: EngineThread, question):
    """What `question` makes of an engine's client, in a loop of its own."""

    async def asked():
        client = RoadEngine({"car": roads.url})
        try:
            return await question(client)
        finally:
            await client.close()

    return asyncio.run(asked())


def test_ways_are_as_long_as_the_streets(roads):
    way = ask(roads, lambda e: e.route([place(1, 1), place(4, 3), place(4, 3)], "car"))
    assert way.distance_m == pytest.approx(5 * STREET_M, rel=0.01)
    assert [leg.distance_m for leg in way.legs][1] == 0.0
    assert len(way.points) == len(way.step_s) + 1 == len(way.step_m) + 1
    assert sum(way.step_s) == pytest.approx(way.duration_s, abs=0.2)
    drawn = sum(distance_m(*a, *b) for a, b in zip(way.points, way.points[1:], strict=False))
    assert drawn == pytest.approx(way.distance_m, rel=0.01)


def test_a_matrix_in_parts_is_that_of_one_question(roads, monkeypatch):
    rng = random.Random(3)
    places = [place(rng.uniform(0, SIDE - 1), rng.uniform(0, SIDE - 1)) for _ in range(9)]
    whole = ask(roads, lambda e: e.matrix(places, places[:5], "car"))
    monkeypatch.setattr("common.roads.osrm.TABLE_SIDE_MAX", 4)
    parts = ask(roads, lambda e: e.matrix(places, places[:5], "car"))
    assert parts == whole
    way = ask(roads, lambda e: e.route([places[7], places[2]], "car"))
    assert whole.durations_s[7][2] == pytest.approx(way.duration_s, abs=0.2)


def test_places_of_one_street_have_a_matrix(roads):
    """Of two that are a metre apart OSRM says that the one behind is less than nothing away."""
    rng = random.Random(5)
    places = [place(1 + rng.uniform(0, 0.01), 1) for _ in range(100)]
    matrix = ask(roads, lambda e: e.matrix(places, places, "car"))
    assert min(metres for row in matrix.distances_m for metres in row) == 0.0


def test_an_engine_with_limits_of_its_own_is_asked_in_parts(store, monkeypatch):
    """OSRM allows 100 places a side unless it is told otherwise."""
    monkeypatch.setattr("deploy.roads.server.TABLE_SIZE_MAX", 3)
    monkeypatch.setattr("common.roads.osrm.TABLE_SIDE_PLAIN", 3)
    places = [place(n, n) for n in range(7)]
    with engine(store) as small:
        found = ask(small, lambda e: e.matrix(places, places, "car"))
    assert [row[n] for n, row in enumerate(found.durations_s)] == [0.0] * 7
    assert found.distances_m[0][6] == pytest.approx(12 * STREET_M, rel=0.01)


def test_where_no_road_leads_there_is_no_way(roads):
    island, here = place(-5, 0.5), place(1, 1)
    assert ask(roads, lambda e: e.route([here, island], "car")) is None
    matrix = ask(roads, lambda e: e.matrix([here], [here, island], "car"))
    assert matrix.durations_s == [[0, None]]


def test_a_graph_that_lacks_the_city_leaves_it_to_the_fallback(roads):
    rome, near_rome = (41.9, 12.5), (41.91, 12.51)

    async def asked():
        travel = Travel(RoadEngine({"car": roads.url}), StraightPaces())
        try:
            matrix = await travel.matrix([rome, near_rome], [near_rome], "car")
            way = await travel.route([rome, place(1, 1)], "car")
            trace = [TraceFix(10.0 * i, 41.9 + i / 1000, 12.5) for i in range(20)]
            return matrix, way, await travel.match(thin(trace), "car")
        finally:
            await travel.close()

    matrix, way, matched = asyncio.run(asked())
    assert matrix.method == way.method == "straight"
    assert matrix.durations_s[1] == [0.0]
    assert matrix.durations_s[0][0] > 100
    assert matched is None


def test_a_connection_that_the_engine_ended_costs_no_question(roads):
    """OSRM ends each after 512 requests."""

    async def many(client: RoadEngine):
        ways = [await client.route([place(0, 0), place(1, 0)], "car") for _ in range(1100)]
        return {way.distance_m if way else None for way in ways}

    assert len(ask(roads, many)) == 1


def street_trace(
    rng: random.Random, every_s: float, noise_m: float
) -> tuple[list[TraceFix], float]:
    """A drive along the grid at 12 m/s without turning back, and how long it was."""
    here, heading = (5, 5), (1, 0)
    line: list[Point] = [place(*here)]
    for _ in range(22):
        turns = [heading, (heading[1], heading[0]), (-heading[1], -heading[0])]
        ahead = [
            (east, north)
            for east, north in turns
            if 0 <= here[0] + east < SIDE and 0 <= here[1] + north < SIDE
        ]
        heading = rng.choice(ahead)
        here = here[0] + heading[0], here[1] + heading[1]
        line.append(place(*here))
    step_m, fixes = 12 * every_s, []
    length_m = STREET_M * (len(line) - 1)
    for count in range(int(length_m / step_m) + 1):
        street, along = divmod(count * step_m / STREET_M, 1)
        a = line[int(street)]
        b = line[min(int(street) + 1, len(line) - 1)]
        degree = noise_m / 111_195
        fixes.append(
            TraceFix(
                1e9 + count * every_s,
                a[0] + (b[0] - a[0]) * along + rng.gauss(0, degree),
                a[1] + (b[1] - a[1]) * along + rng.gauss(0, degree / 0.68),
            )
        )
    return fixes, (len(fixes) - 1) * step_m


@pytest.mark.parametrize(
    ("every_s", "noise_m", "most"), [(1, 20, 0.08), (5, 10, 0.03), (30, 10, 0.06)]
)
def test_matched_routes_are_as_long_as_they_were(roads, every_s, noise_m, most):
    rng = random.Random(11)
    errors = []
    for _ in range(8):
        fixes, true_m = street_trace(rng, every_s, noise_m)
        pieces = ask(roads, lambda e, f=fixes: match_trace(e, thin(f), "car"))
        matched_m = sum(leg.distance_m for piece in pieces for leg in piece.legs)
        errors.append(abs(matched_m - true_m) / true_m)
    assert sum(errors) / len(errors) <= most


def test_pieces_of_a_long_trace_are_one(roads):
    rng = random.Random(5)
    fixes, _ = street_trace(rng, 2, 3)
    kept = thin(fixes)
    assert len(kept) == 1
    pieces = ask(roads, lambda e: match_trace(e, [kept[0] * 1], "car"))
    assert len(pieces) == 1
    assert pieces[0].legs[0].begin_s == kept[0][0].at_s
    assert pieces[0].legs[-1].end_s == kept[0][-1].at_s


def test_a_killed_engine_is_back_and_nobody_waits_for_it(roads):
    async def keep_watch():
        while roads.server.restarts == 0:
            await roads.server.watch()
            await pace(0.02)

    pid = roads.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not listens(pid, roads.server.site.port), timeout_s=5, what="its end")

    async def asked(client: RoadEngine):
        for _ in range(3):
            with pytest.raises(EngineAway):
                await client.route([place(0, 0), place(1, 0)], "car")

    ask(roads, asked)
    roads.run(keep_watch())
    assert roads.server.pid not in {None, pid}
    assert ask(roads, lambda e: e.route([place(0, 0), place(1, 0)], "car")).distance_m > 0


def test_a_silent_engine_is_left_alone_after_one_wait(roads, monkeypatch):
    monkeypatch.setattr("common.roads.exchange.ANSWER_TIMEOUT_S", 0.2)

    async def asked(client: RoadEngine):
        with pytest.raises(EngineAway, match="does not answer"):
            await client.route([place(0, 0), place(1, 0)], "car")
        with pytest.raises(EngineAway, match="a moment ago"):
            await client.route([place(0, 0), place(1, 0)], "car")

    with frozen(roads.server.pid):
        ask(roads, asked)


def test_no_graph_for_a_vehicle_is_said_at_once(roads):
    async def asked(client: RoadEngine):
        with pytest.raises(NoRoads, match="no graph"):
            await client.route([place(0, 0), place(1, 0)], "bicycle")

    ask(roads, asked)


def test_speeds_are_swapped_without_a_failed_question(roads, store, tmp_path):
    """Questions go on all the time: before, while both listen, and after."""
    speeds = tmp_path / "speeds.csv"
    pairs = [(node(n, 3), node(n + 1, 3)) for n in range(SIDE - 1)]
    speeds.write_text("".join(f"{a},{b},5\n{b},{a},5\n" for a, b in pairs))
    graph, ends = store.graph("car"), [place(2, 3), place(3, 3)]
    swapped = asyncio.run(
        customize(
            roads.server.site.programs, graph.base, HourSpeeds(speeds), graph.folder / "live-test"
        )
    )

    async def while_swapping(client: RoadEngine):
        before = await client.route(ends, "car")
        swap = asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(roads.server.serve(swapped), roads._loop)
        )
        asked = 0
        while not swap.done():
            await asyncio.gather(*(client.route(ends, "car") for _ in range(4)))
            asked += 4
        await swap
        after = await client.route(ends, "car")
        return before, asked, after

    before, asked, after = ask(roads, while_swapping)
    assert asked > 4
    assert after.duration_s > 2 * before.duration_s
    assert ask(roads, lambda e: e.route([place(2, 5), place(3, 5)], "car")) is not None
