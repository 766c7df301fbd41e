"""A made-up city with its rush hours: what is learned of its speeds, and what that is worth.

The truth is an engine too, one for each hour, whose streets are as slow as they really are. Its
ways are driven, noisy fixes of them are stored, and speeds are learned from those.
"""

import asyncio
import random
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import orjson
import pytest

from common.roads.engine import RoadEngine
from common.roads.osrm import route_query
from common.roads.way import Point
from common.settings import load_settings
from deploy.roads.executables import find_programs
from deploy.roads.graphs import GraphStore
from deploy.roads.keeper import EngineKeeper
from deploy.roads.learning.learn import learn_all
from deploy.roads.metric import HourSpeeds, customize
from deploy.roads.slots import slot_at, slot_name
from deploy.roads.steps import RoadSteps
from tests.integration.insight.insight_history import row
from tests.integration.insight.insight_history import store as store_rows
from tests.roles.roads import EngineThread, engine, make_store, needs_engine, node, place
from tests.servers.postgres import PostgresServer

pytestmark = needs_engine

HOURS = (3, 8, 17)
# Half of the days, or more, are working days.
DAYS, TRIPS = 5, 90
SIDE = 8
FIX_EVERY_S, NOISE_M = 5.0, 5.0
TRIP_COLUMNS = (
    "driver_id", "started_at", "ended_at", "start_latitude", "start_longitude", "end_latitude",
    "end_longitude", "distance_m", "moving_s", "fixes", "open",
)  # fmt: skip


class Drive(NamedTuple):
    """The quickest way in truth: its line, and the seconds of each step, turns where they are."""

    points: list[Point]
    step_s: list[float]


def streets() -> list[tuple[int, int]]:
    """Every piece of street, in both directions."""
    found = []
    for e in range(SIDE):
        for n in range(SIDE):
            found += [(node(e, n), node(e + 1, n))] if e + 1 < SIDE else []
            found += [(node(e, n), node(e, n + 1))] if n + 1 < SIDE else []
    return found + [(b, a) for a, b in found]


def slowness(street: tuple[int, int], hour: int) -> float:
    """How many times longer than by the map; each direction has its own."""
    own = random.Random(f"{street}")
    always, rush = own.uniform(0.9, 1.7), own.uniform(1.2, 3.0)
    return always * (1.0 if hour == 3 else rush)


class MadeUpCity:
    """The truth of each hour, and trips through it."""

    def __init__(self, truth: dict[int, EngineThread], first: datetime) -> None:
        self.truth = truth
        self.first = first
        self.rng = random.Random(42)

    def ends(self) -> list[Point]:
        """Two crossings some streets apart."""
        a, b = ((self.rng.randrange(SIDE), self.rng.randrange(SIDE)) for _ in range(2))
        return [place(*a), place(*b)] if abs(a[0] - b[0]) + abs(a[1] - b[1]) > 5 else self.ends()

    async def drive(self, ends: list[Point], hour: int) -> Drive:
        """How somebody drives who knows the city."""
        client = RoadEngine({"car": self.truth[hour].url})
        try:
            body = await client._ask("route", "car", route_query(ends))
        finally:
            await client.close()
        (route,) = orjson.loads(body)["routes"]
        (leg,) = route["legs"]
        points = [(y, x) for x, y in route["geometry"]["coordinates"]]
        steps = [*leg["annotation"]["duration"]]
        corners = [
            i
            for i in range(1, len(points) - 1)
            if abs(points[i + 1][0] - points[i - 1][0]) > 1e-4
            and abs(points[i + 1][1] - points[i - 1][1]) > 1e-4
        ]
        for corner in corners:
            steps[corner] += (leg["duration"] - sum(leg["annotation"]["duration"])) / len(corners)
        return Drive(points, steps)

    def fixes(self, drive: Drive, begin: datetime) -> list[tuple[datetime, float, float]]:
        """What a phone sends of it."""
        found, passed_s, now_s = [], 0.0, 0.0
        degree = NOISE_M / 111_195
        for step, took_s in enumerate(drive.step_s):
            (y0, x0), (y1, x1) = drive.points[step : step + 2]
            while now_s <= passed_s + took_s:
                share = (now_s - passed_s) / took_s if took_s else 1.0
                latitude = y0 + (y1 - y0) * share + self.rng.gauss(0, degree)
                longitude = x0 + (x1 - x0) * share + self.rng.gauss(0, degree / 0.68)
                found.append((begin + timedelta(seconds=now_s), latitude, longitude))
                now_s += FIX_EVERY_S
            passed_s += took_s
        return found

    async def live(self, url: str, *, number_a_day: int, calm: int = 0) -> None:
        """Trips of all days in the database, as the follower of the history stores them.

        On so many last days, `calm` ones, all hours are as the one at night.
        """
        trips: list[tuple[Any, ...]] = []
        rows: list[Any] = []
        for day in range(DAYS):
            for number in range(number_a_day):
                hour = HOURS[number % len(HOURS)]
                begin = self.first + timedelta(days=day, hours=hour, seconds=number)
                truth = HOURS[0] if day >= DAYS - calm else hour
                fixes = self.fixes(await self.drive(self.ends(), truth), begin)
                name = f"d{number}"
                rows += [row(name, *fix) for fix in fixes]
                trips.append((name, fixes[0][0], fixes[-1][0], *[0] * 6, len(fixes), False))
        connection = await asyncpg.connect(url)
        await store_rows(connection, rows, marked=False)
        await connection.copy_records_to_table("trips", records=trips, columns=TRIP_COLUMNS)
        await connection.close()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that is busy with other tests is no engine that is away."""
    monkeypatch.setattr("common.roads.exchange.ANSWER_TIMEOUT_S", 20.0)
    monkeypatch.setattr("common.roads.engine.TOTAL_TIMEOUT_S", 60.0)


@pytest.fixture(scope="module")
def roads(tmp_path_factory) -> Iterator[EngineThread]:
    with engine(make_store(tmp_path_factory.mktemp("roads"), side=SIDE)) as thread:
        yield thread


@pytest.fixture(scope="module")
def city(roads: EngineThread, tmp_path_factory) -> Iterator[MadeUpCity]:
    folder: Path = tmp_path_factory.mktemp("truth")
    base = roads.store.graph("car").base
    # By the map a residential street of 200 m at 50 km/h; the engine says what it makes of that.
    way = asyncio.run(_plain_way(roads))
    with ExitStack() as stack:
        truth = {}
        for hour in HOURS:
            speeds = folder / f"{hour}.csv"
            speeds.write_text(
                "".join(f"{a},{b},{way / slowness((a, b), hour):.2f}\n" for a, b in streets())
            )
            stem = asyncio.run(
                customize(
                    roads.server.site.programs, base, HourSpeeds(speeds), folder / f"at-{hour}"
                )
            )
            truth[hour] = stack.enter_context(engine(roads.store, stem))
        today = datetime.combine(datetime.now(UTC).date(), time(), UTC)
        yield MadeUpCity(truth, today - timedelta(days=DAYS))


async def _plain_way(roads: EngineThread) -> float:
    """km/h of a street by the map."""
    client = RoadEngine({"car": roads.url})
    try:
        way = await client.route([place(0, 5), place(SIDE - 1, 5)], "car")
        assert way is not None
        return 3.6 * way.distance_m / way.duration_s
    finally:
        await client.close()


@pytest.fixture
def database(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


async def learn(url: str, store: GraphStore) -> None:
    programs = find_programs()
    assert programs is not None
    with RoadSteps() as steps:
        await learn_all(load_settings(database_url=url), programs, store, ["car"], steps)


def unseen_day(city: MadeUpCity) -> datetime:
    """The first working day after those that were learned from."""
    day = city.first + timedelta(days=DAYS)
    return day + timedelta(days=max(0, 7 - day.weekday()) if day.weekday() > 4 else 0)


async def mean_error(city: MadeUpCity, trips: list[list[Point]], hour: int, url: str) -> float:
    """Of arrivals foretold by the engine at `url`, as a share of what the trips really take."""
    client = RoadEngine({"car": url})
    off_s = whole_s = 0.0
    try:
        for ends in trips:
            foretold = await client.route(ends, "car")
            took_s = sum((await city.drive(ends, hour)).step_s)
            assert foretold is not None
            off_s += abs(foretold.duration_s - took_s)
            whole_s += took_s
    finally:
        await client.close()
    return off_s / whole_s


def test_learned_speeds_foretell_days_that_were_not_seen(
    city: MadeUpCity, roads: EngineThread, database: str, capsys: Any
) -> None:
    keeper = EngineKeeper(roads.store.graph("car"), roads.server)

    async def errors() -> dict[int, float]:
        found = {}
        for hour in HOURS:
            when = unseen_day(city) + timedelta(hours=hour)
            await asyncio.to_thread(roads.run, keeper.look(when.timestamp()))
            found[hour] = await mean_error(city, trips, hour, roads.url)
        return found

    trips = [city.ends() for _ in range(40)]
    asyncio.run(city.live(database, number_a_day=TRIPS))
    before = asyncio.run(errors())
    asyncio.run(learn(database, roads.store))
    after = asyncio.run(errors())
    assert keeper.edition is not None
    assert keeper.edition.speeds == slot_name(
        slot_at((unseen_day(city) + timedelta(hours=17)).timestamp())
    )
    assert "kept" in capsys.readouterr().out
    assert sum(after.values()) * 5 <= sum(before.values()), (before, after)
    # Only the last set of speeds is left on the disk.
    assert len(list(roads.store.graph("car").folder.glob("live-*"))) == 1


def test_speeds_that_foretell_the_last_day_worse_are_not_kept(
    city: MadeUpCity, database: str, tmp_path: Path, capsys: Any
) -> None:
    """Rush hours on all days but the last: what they taught is no good on a holiday."""
    store = make_store(tmp_path, side=SIDE)
    asyncio.run(city.live(database, number_a_day=18, calm=1))
    asyncio.run(learn(database, store))
    assert "not kept" in capsys.readouterr().out
    assert store.graph("car").learned() is None
    asyncio.run(learn(database, store))
    assert "no day with trips is left" in capsys.readouterr().out

    async def lessons() -> list[Any]:
        connection = await asyncpg.connect(database)
        found = await connection.fetch(
            "SELECT trips, kept, off_after_s FROM road_lessons ORDER BY day"
        )
        await connection.close()
        return [tuple(row) for row in found]

    *others, last = asyncio.run(lessons())
    assert others == [(18, False, None)] * (DAYS - 1)
    assert last[2] > 0
