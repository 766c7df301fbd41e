"""Who is at fault when nothing can be stored: a row only if the table took another row."""

import asyncio

import pytest
from structlog.testing import capture_logs

from tests.roles.shard import KEYS, Attempts, identities, payload, shard, worker_settings, working
from tests.wait import until

VETO = """
CREATE FUNCTION veto() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
{body} RETURN NEW; END $$;
CREATE TRIGGER veto BEFORE INSERT ON locations FOR EACH {each} EXECUTE FUNCTION veto();
"""
REFUSE_ALL = "RAISE EXCEPTION 'maintenance, try again';"
REFUSE_SOME = "IF NEW.speed = 666 THEN RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END IF;"


@pytest.fixture
def servers(redis_server, database_url):
    return redis_server.url, database_url


@pytest.mark.parametrize(
    "url",
    [
        # UnicodeError out of the encoding of names.
        f"postgresql://fleetline@{'a' * 64}.example/fleetline",
        "postgresql://fleetline@127.0.0.1:1/fleetline",
        "postgresql://fleetline@/fleetline?host=/nowhere",
    ],
)
def test_an_address_without_a_database_is_no_row_s_fault(servers, url):
    async def main():
        attempts = Attempts()
        async with shard(*servers) as it:
            async with working(worker_settings(servers[0], url), attempts.pace):
                await it.add(*[payload(s, driver=f"d{s}") for s in range(50)])
                await attempts.reached(10)
                await until(lambda: it.live_is("d49", payload(49, driver="d49")))
            assert await it.dead() == []
            async with working(worker_settings(*servers)):
                await it.stored(50)

    asyncio.run(main())


@pytest.mark.parametrize("each", ["STATEMENT", "ROW"])
@pytest.mark.parametrize("count", [1, 100])
def test_a_table_that_refuses_everything_is_said_aloud_and_waited_out(servers, each, count):
    """200 of 200 healthy fixes were dead letters after three tries."""

    async def main():
        attempts = Attempts()
        async with shard(*servers) as it:
            await it.database.execute(VETO.format(body=REFUSE_ALL, each=each))
            with capture_logs() as said:
                async with working(worker_settings(*servers), attempts.pace):
                    await it.add(*[payload(s) for s in range(count)])
                    await attempts.reached(10)
                    assert await it.dead() == []
                    await it.database.execute("DROP TRIGGER veto ON locations")
                    await it.stored(count)
            assert await it.dead() == []
            errors = [x for x in said if x["event"] == "history.table_refuses_all"]
            assert errors
            assert "maintenance" in errors[0]["error"]
            assert errors[0]["log_level"] == "error"

    asyncio.run(main())


@pytest.mark.parametrize("sqlstate", ["P0001", "XX000", "22003"])
def test_a_row_that_is_refused_alone_in_an_idle_system_is_a_dead_letter(servers, sqlstate):
    """It has no neighbour: a row made for the question is its witness, and is not kept."""

    async def main():
        body = REFUSE_SOME.format(sqlstate=sqlstate)
        async with shard(*servers) as it:
            await it.database.execute(VETO.format(body=body, each="ROW"))
            async with working(worker_settings(*servers)):
                await it.add(payload(0, speed=666.0))
                await until(lambda: it.redis.xlen(KEYS.dead))
                await it.settled()
            (letter,) = await it.dead()
            assert letter[b"reason"] == b"refused_by_database"
            assert letter[b"sqlstate"] == sqlstate.encode()
            assert letter[b"attempts"] == b"3"
            assert await it.count() == 0

    asyncio.run(main())


def test_failures_of_the_database_do_not_count_against_a_row(servers):
    """After an outage of three tries the first failure of unknown kind buried at once."""
    body = REFUSE_SOME.format(sqlstate="P0001")

    async def main():
        attempts = Attempts()
        async with shard(*servers) as it:
            await it.database.execute(VETO.format(body=body, each="ROW"))
            await it.database.execute("ALTER TABLE locations RENAME COLUMN speed TO velocity")
            await it.add(*[payload(n) for n in range(20)], payload(50, speed=666.0))
            async with working(worker_settings(*servers), attempts.pace):
                await attempts.reached(10)
                await it.database.execute("ALTER TABLE locations RENAME COLUMN velocity TO speed")
                await it.stored(20)
                await until(lambda: it.redis.xlen(KEYS.dead))
            (letter,) = await it.dead()
            assert letter[b"attempts"] == b"3"
            assert await it.rows() == identities([("d1", n) for n in range(20)])

    asyncio.run(main())
