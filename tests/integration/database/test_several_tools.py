"""Tools and learning go through all databases, and orders are looked up where they are."""

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from common.databases.seat import Seat, seats
from common.errors import ConfigError
from common.settings import Settings, load_settings
from consumers.arrivals.database import ArrivalDatabase
from consumers.arrivals.learner import PaceLearner
from consumers.insight.serve import rules_of
from deploy.backup import making, restoring
from deploy.backup.contents import Contents, read_contents
from deploy.roads.learning.lessons import Lesson, LessonBook
from deploy.roads.learning.speeds import SpeedSums
from deploy.tools.history import archive, retention
from tests.integration.insight.insight_history import follow_to, row, store
from tests.roles.several import FIRST, SECOND
from tests.servers import RedisServer
from tests.stack import fleetline

NOW = datetime.now(UTC).replace(microsecond=0)
BEGUN = NOW.replace(hour=10, minute=0, second=0) - timedelta(days=60)
OLD = BEGUN.date()


@pytest.fixture
def told(pair: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URLS", ",".join(pair))
    return load_settings(history_retention_days=40)


def way(driver: str, begun: datetime) -> list[Any]:
    """A drive of half an hour at 5 m/s to the north, and an hour of standing."""
    moved = [(n, 53.4 + n * 75 / 111_195) for n in range(120)]
    stood = [(n, moved[-1][1]) for n in range(120, 360)]
    rows = [(begun + timedelta(seconds=15 * n), north, -2.9) for n, north in moved + stood]
    return [row(driver, *place, speed=18.0) for place in rows]


async def fill(settings: Settings, begun: datetime) -> None:
    for url, driver in zip(settings.databases, (FIRST, SECOND), strict=True):
        connection = await asyncpg.connect(url)
        await store(connection, way(driver, begun), marked=False)
        await connection.close()
        await follow_to(url, rules_of(settings), NOW)


async def ask(url: str, sql: str, *args: object) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql, *args)
    finally:
        connection.terminate()


def asked(url: str, sql: str) -> list[tuple[Any, ...]]:
    return [tuple(found) for found in asyncio.run(ask(url, sql))]


def test_days_of_both_are_archived_computed_again_and_dropped(
    told: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(fill(told, BEGUN))
    pytest.importorskip("pyarrow")
    archive.run(told, OLD + timedelta(days=1), tmp_path, drop=False)
    assert {path.name for path in tmp_path.iterdir()} == {
        archive.file_name(OLD, seat) for seat in seats(2)
    }
    assert archive.file_name(date(2026, 1, 1), Seat(1, 4)) == "locations-20260101-2-of-4.parquet"
    trips = [asked(url, "SELECT driver_id, fixes FROM trips") for url in told.databases]
    assert [[driver for driver, _ in found] for found in trips] == [[FIRST], [SECOND]]
    for url in told.databases:
        asked(url, "UPDATE trips SET fixes = 1")
    extra = {"DATABASE_URLS": ",".join(told.databases)}
    one = fleetline("insight", "rebuild", "--driver", SECOND, extra=extra)
    assert one.returncode == 0, one.stderr
    fixes = [asked(url, "SELECT fixes FROM trips") for url in told.databases]
    assert fixes == [[(1,)], [(trips[1][0][1],)]]
    both = fleetline("insight", "rebuild", extra=extra)
    assert both.stdout.count("1 drivers again") == 2, both.stdout + both.stderr
    assert trips == [asked(url, "SELECT driver_id, fixes FROM trips") for url in told.databases]
    assert retention.run(told, dry_run=False) == 0
    assert capsys.readouterr().out.count(f"{OLD}: dropped") == 2
    assert [asked(url, "SELECT fleetline_history_days()") for url in told.databases] == [[], []]


def test_a_backup_has_a_dump_of_each_and_makes_no_home(
    told: Settings, redis_server: RedisServer, tmp_path: Path
) -> None:
    asyncio.run(fill(told, BEGUN))
    redis_server.command("HSET", "fleetline:meta", "shards", "4")
    folder = tmp_path / "backup"
    settings = load_settings(redis_url=redis_server.url, fleetline_home=tmp_path / "home")
    assert making.run(settings, folder) == 0
    contents = read_contents(folder)
    assert {"database.dump", "database-2.dump"} < contents.files.keys()
    assert (contents.databases, contents.fixes) == (2, 720)


def test_a_home_has_one_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"redis.rdb": "", "database.dump": "", "database-2.dump": ""}
    contents = Contents("1", "then", "now", 4, 0, files)
    monkeypatch.setattr(restoring, "read_contents", lambda _: contents)
    with pytest.raises(ConfigError, match="is of 2 databases, and a home has one"):
        restoring.run(load_settings(fleetline_home=tmp_path / "home"), tmp_path)


async def on_bicycles(home: str) -> None:
    """Orders of both drivers, which home alone has."""
    for driver in (FIRST, SECOND):
        await ask(
            home,
            "INSERT INTO orders (order_id, bucket, driver_id, vehicle, state, new_at, assigned_at,"
            " updated_at, version) VALUES ($1, 0, $1, 'bicycle', 'assigned', $2, $2, $2, 1)",
            driver,
            NOW - timedelta(days=2),
        )


def test_pace_is_learned_from_the_trips_of_both(told: Settings) -> None:
    async def main() -> None:
        await fill(told, NOW - timedelta(days=1))
        await on_bicycles(told.databases[0])
        home, other = [
            ArrivalDatabase(url, seat) for url, seat in zip(told.databases, seats(2), strict=True)
        ]
        learner = PaceLearner(home, [other])
        away = ArrivalDatabase("postgresql://fleetline@127.0.0.1:1/fleetline")
        without = PaceLearner(home, [away])
        # What broke: nobody learned from home's trips, either.
        assert await without.read_trips() == 1
        await without.learn()
        assert await learner.read_trips() == 1
        assert await learner.read_trips() == 0
        await learner.learn()
        await away.close()
        for url in told.databases:
            [kept] = await ask(url, "SELECT vehicle FROM pace_trips")
            assert kept["vehicle"] == "bicycle"
        for database in (home, other):
            await database.close()

    asyncio.run(main())


def test_roads_learn_from_the_trips_of_both(told: Settings) -> None:
    async def main() -> None:
        begun = (NOW - timedelta(days=1)).replace(hour=8)
        await fill(told, begun)
        await on_bicycles(told.databases[0])
        home, other = [await asyncpg.connect(url) for url in told.databases]
        day = begun.date()
        span = day - timedelta(days=9), day + timedelta(days=1)
        bicycles = LessonBook(home, "bicycle", [other])
        assert await bicycles.days(*span) == [day]
        assert len([trace async for trace in bicycles.traces(day)]) == 2
        cars = LessonBook(home, "car", [other])
        assert [trace async for trace in cars.traces(day)] == []
        # What was learned is not learned again, though the other database knows of no lesson.
        await bicycles.write(SpeedSums(), [Lesson(day, 2, 1.0, None, None, kept=False)])
        assert await bicycles.days(*span) == []
        for connection in (home, other):
            connection.terminate()

    asyncio.run(main())
