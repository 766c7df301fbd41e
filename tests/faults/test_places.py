"""The places engine as a process: killed again and again, without a database for a while, while
fixes come late, twice and shuffled. What happened is in the table once, and was published.
"""

import asyncio
import contextlib
import os
import random
import signal

import asyncpg
import orjson

from common.keys import ENTRY_FIELD, EVENTS_CHANNEL
from common.redis.client import new_async_client
from common.shards import Shards
from common.stream.backlog import ADDED
from common.stream.pack import encode_pack
from tests.clients.commands import start as start_command
from tests.clients.listening import listening
from tests.roles.places import by_driver, circles, oracle, put_fences, told_in, walks
from tests.stack import environment
from tests.wait import pace, until

SHARDS = Shards("driver-locations", 2)
FIXES_PER_S = 1_000
STEP_S = 0.05


class Role:
    """`fleetline places`, which dies and is started again."""

    def __init__(self, redis_url, database_url):
        self._settings = {
            "REDIS_URL": redis_url, "DATABASE_URL": database_url, "SHARDS": "2",
            "LOCATION_TTL": "86400", "LOG_LEVEL": "error",
        }  # fmt: skip
        self.process = None

    def start(self):
        self.process = start_command(["places"], environment(self._settings))

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


async def send(client, fixes):
    packs = {}
    for fix in fixes:
        packs.setdefault(SHARDS.of(fix.driver).keys, []).append(fix.payload)
    for keys, pack in packs.items():
        await client.xadd(keys.stream, {ENTRY_FIELD: encode_pack(pack)})
        await client.hincrby(keys.counts, ADDED, len(pack))


async def published(client, into, heard):
    async with listening(client, EVENTS_CHANNEL) as channel:
        heard.set()
        while True:
            if message := await channel.message():
                into.append(orjson.loads(message)["event_id"])


async def is_through(database_url, client):
    """Whether all that is in the streams has been read and stored."""
    connection = await asyncpg.connect(database_url)
    try:
        for shard in SHARDS:
            [[last, _]] = await client.xrevrange(shard.keys.stream, count=1)
            through = await connection.fetchval(
                "SELECT through FROM (SELECT id, through FROM places_changes WHERE stream = $1"
                " UNION ALL SELECT 0, through FROM places_streams WHERE stream = $1) AS r"
                " ORDER BY id DESC LIMIT 1",
                shard.keys.stream,
            )
            if through != last.decode():
                return False
    finally:
        await connection.close()
    return True


async def all_published(database_url, seen):
    connection = await asyncpg.connect(database_url)
    try:
        rows = await connection.fetch("SELECT event_id FROM events")
    finally:
        await connection.close()
    return {row[0] for row in rows} <= set(seen)


def test_each_event_is_stored_once_and_published_whatever_dies(
    redis_server, postgres_session, database_url
):
    rng = random.Random(7)
    fences, fixes = circles(40, 7), walks(50, 90, 7)
    role = Role(redis_server.url, database_url)

    async def main():
        client = new_async_client(redis_server.url, decode=False)
        connection = await asyncpg.connect(database_url)
        await put_fences(connection, fences)
        await connection.close()
        seen = []
        heard = asyncio.Event()
        hearing = asyncio.create_task(published(client, seen, heard))
        await heard.wait()
        step = round(FIXES_PER_S * STEP_S)
        pieces = [fixes[first : first + step] for first in range(0, len(fixes), step)]
        deaths = set(rng.sample(range(10, len(pieces)), 3))
        outage = len(pieces) // 2
        role.start()
        for number, piece in enumerate(pieces):
            await send(client, piece)
            await pace(STEP_S)
            if number in deaths:
                role.kill()
                role.start()
            if number == outage:
                postgres_session.stop()
            if number == outage + 20:
                postgres_session.start()
        await until(lambda: is_through(database_url, client), timeout_s=60, what="all is read")
        await until(lambda: all_published(database_url, seen), timeout_s=30, what="all published")
        role.kill()
        hearing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await hearing
        connection = await asyncpg.connect(database_url)
        told = await told_in(connection)
        await connection.close()
        await client.aclose()
        return told

    try:
        told = asyncio.run(main())
    finally:
        if not postgres_session.answers():
            postgres_session.start()
        if role.process is not None and role.process.poll() is None:
            role.kill()
    expected = oracle(fixes, fences)
    assert len(told) == len(set(told)) == len(expected)
    assert by_driver(told) == by_driver(expected)
