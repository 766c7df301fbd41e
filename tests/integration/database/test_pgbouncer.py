"""PgBouncer in both modes: what works behind it does, and the rest says why it does not."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import asyncpg
import pytest

from common.databases.connecting import ConnectionTerms, connect, is_pooled
from common.errors import EXIT_CONFIG, ConfigError
from common.keys import order_book_key, order_bucket
from common.orders.keeper import ADVISORY_KEY
from consumers.history.row import rows_of
from consumers.history.table import HistoryTable
from consumers.stream.entry import Entry, decode_page
from deploy.schema.migrate import migrate, read_migrations
from deploy.schema.seating import settle_chunk
from deploy.tools.databases.split import split_all
from ingest.http.queries.query import RouteQuery
from ingest.resources.histories import Histories
from tests.roles.orders import BOOK, A, orders
from tests.roles.several import seat_databases
from tests.roles.shard import NOW, payload
from tests.servers import RedisServer, free_port
from tests.servers.pgbouncer import MODES, Mode, needs_pgbouncer, pgbouncer, through
from tests.servers.postgres import PostgresServer
from tests.stack import fleetline
from tests.wait import until, wait_until

pytestmark = needs_pgbouncer
TERMS = ConnectionTerms("test", 5, 5, session={"jit": "off", "lock_timeout": "7s"})


@pytest.fixture(scope="module", params=MODES)
def pooler(request: pytest.FixtureRequest, postgres_session: PostgresServer) -> Iterator[int]:
    # A session keeps its server, a transaction does not.
    servers = 4 if request.param == "transaction" else 25
    with pgbouncer(postgres_session.port, request.param, servers=servers) as port:
        yield port


@pytest.fixture
def mode(request: pytest.FixtureRequest) -> Mode:
    found: Mode = request.node.callspec.params["pooler"]
    return found


@pytest.fixture
def url(postgres_session: PostgresServer) -> Iterator[str]:
    name = postgres_session.create_database()
    yield postgres_session.url(name)
    postgres_session.drop_database(name)


def rows(driver: str, seconds: range):
    entries = [Entry(b"%d-0" % n, payload(n, driver=driver)) for n in seconds]
    return rows_of(decode_page(entries).events)


def test_the_server_asks_soon_whether_somebody_is_there(pooler: int, url: str) -> None:
    """A lost host kept rows and locks to itself until it was missed: after two hours, as a rule."""

    async def main() -> None:
        settings = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_user_timeout")
        for terms in (TERMS, ConnectionTerms("test", 5)):
            straight = await connect(url, terms)
            assert [await straight.fetchval(f"SHOW {each}") for each in settings] == [
                "5", "3", "15000",
            ]  # fmt: skip
            await straight.close()
            # Through a pooler it is the pooler that has to ask.
            pooled = await connect(through(url, pooler), terms)
            assert await pooled.fetchval("SELECT 1") == 1
            await pooled.close()

    asyncio.run(main())


def test_the_mode_is_found_out(pooler: int, mode: Mode, url: str) -> None:
    async def main() -> None:
        straight = await connect(url, TERMS)
        assert not is_pooled(straight)
        assert await straight.fetchval("SHOW lock_timeout") == "7s"
        found = await connect(through(url, pooler), TERMS)
        assert is_pooled(found) == (mode == "transaction")
        if mode == "session":
            assert await found.fetchval("SHOW lock_timeout") == "7s"
        for connection in (straight, found):
            await connection.close()

    asyncio.run(main())


def test_one_backend_for_all_is_found_out_too(postgres_session: PostgresServer, url: str) -> None:
    async def main(there: str) -> None:
        one, two = [await connect(there, TERMS) for _ in range(2)]
        assert is_pooled(one)
        assert await one.fetchval("SELECT 1") == await two.fetchval("SELECT 1")
        for connection in (one, two):
            await connection.close()

    with pgbouncer(postgres_session.port, "transaction", servers=1) as port:
        asyncio.run(main(through(url, port)))


def test_a_role_that_needs_sessions_says_so_in_one_line(pooler: int, mode: Mode, url: str) -> None:
    terms = ConnectionTerms("test", 5, needs_session="fleetline places")

    async def main() -> None:
        connection = await connect(through(url, pooler), terms)
        await connection.close()

    if mode == "session":
        asyncio.run(main())
        return
    with pytest.raises(ConfigError, match="fleetline places needs sessions") as refused:
        asyncio.run(main())
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("role", ["insight", "places", "hooks"])
def test_such_a_role_ends_and_is_not_started_again(
    role: str, postgres_session: PostgresServer, url: str, redis_server: RedisServer
) -> None:
    with pgbouncer(postgres_session.port, "transaction") as port:
        extra = {"DATABASE_URL": through(url, port), "REDIS_URL": redis_server.url}
        ended = fleetline(role, extra={**extra, "METRICS_PORT": str(free_port())})
    assert ended.returncode == EXIT_CONFIG, ended.stderr
    assert f"fleetline {role} needs sessions" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_many_tables_store_each_row_once(pooler: int, url: str) -> None:
    """14 of 48 batches found another session's statements, and good rows became dead letters."""

    async def one(number: int) -> int:
        table = HistoryTable(through(url, pooler), timeout_s=10)
        stored = 0
        for turn in range(8):
            # Half of a batch comes again with the next one: then it goes through a staging table.
            seconds = range(turn * 50, turn * 50 + 100)
            stored += await table.store(rows(f"d{number}", seconds))
            assert await table.takes_a_row()
        await table.close()
        return stored

    async def main() -> list[int]:
        return await asyncio.gather(*map(one, range(6)))

    assert asyncio.run(main()) == [450] * 6

    async def left() -> tuple[int, int]:
        connection = await asyncpg.connect(url)
        count = await connection.fetchval("SELECT count(*) FROM locations")
        temporary = await connection.fetchval(
            "SELECT count(*) FROM pg_class WHERE relname = 'locations_stage'"
        )
        await connection.close()
        return count, temporary

    count, temporary = asyncio.run(left())
    assert count == 2700
    assert temporary <= 6


def test_routes_are_read_at_once(pooler: int, url: str) -> None:
    async def main() -> None:
        table = HistoryTable(url, timeout_s=10)
        await table.store(rows("d", range(700)))
        await table.close()
        histories = Histories([through(url, pooler)], connections_max=3, timeout_s=10)
        query = RouteQuery(NOW, NOW + timedelta(hours=1), 600, None, "json")

        async def route() -> int:
            return sum([len(found) async for found in histories.route("d", query)])

        assert await asyncio.gather(*(route() for _ in range(12))) == [601] * 12
        assert await histories.missing(2.0) == []
        await histories.close()

    asyncio.run(main())


def test_migrate_works_behind_it(pooler: int, postgres_session: PostgresServer) -> None:
    name = postgres_session.create_empty()
    there = through(postgres_session.url(name), pooler)

    async def at_once() -> list[list[str]]:
        return await asyncio.gather(*(migrate(there) for _ in range(3)))

    assert sorted(map(len, asyncio.run(at_once()))) == [0, 0, len(read_migrations())]
    seat_databases([there])
    asyncio.run(settle_chunk(there, 6))
    postgres_session.drop_database(name)


def test_a_split_keeps_no_lock_in_somebody_elses_session(pooler: int, mode: Mode, url: str) -> None:
    why = "databases split needs sessions" if mode == "transaction" else "number 2 is one of those"

    def is_refused_for_that() -> bool:
        # A pooler takes a moment to end what a session left.
        with pytest.raises(ConfigError) as refused:
            asyncio.run(split_all([through(url, pooler), url], print, remove=True))
        return why in str(refused.value)

    for _ in range(2):
        wait_until(is_refused_for_that, what=why)


def test_one_keeper_of_orders_at_a_time(pooler: int, url: str, redis_server: RedisServer) -> None:
    """Its lock is of a session where it has one, and of a transaction where not."""

    async def main() -> None:
        async with orders(redis_server.url, url) as made:
            await made.put(driver_id=A, told=False)
            keepers = [made.keeper_of(through(url, pooler)) for _ in range(3)]
            for _ in range(2):
                await asyncio.gather(*(keeper.round() for keeper in keepers))
            assert await made.it.redis.hexists(BOOK, "o")
            await made.shown_at_last(A)
            # Whoever holds the lock keeps the others out, until it is gone.
            holder = await asyncpg.connect(url)
            await keepers[0].close()
            await asyncio.gather(*(keeper.close() for keeper in keepers))
            await until(lambda: takes(holder, "SELECT pg_try_advisory_lock($1)"))
            await made.put("p", driver_id=A, told=False)
            await keepers[0].round()
            assert not await made.it.redis.hexists(order_book_key(order_bucket("p")), "p")
            await holder.close()
            await keepers[0].round()
            assert await made.it.redis.hexists(order_book_key(order_bucket("p")), "p")
            await keepers[0].close()

    asyncio.run(main())


async def takes(connection: asyncpg.Connection, sql: str) -> bool:
    return bool(await connection.fetchval(sql, ADVISORY_KEY))
