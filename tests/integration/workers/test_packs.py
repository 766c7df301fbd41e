"""Packs in a real Redis: how positions are named, who writes them, and what is never half done."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.errors import Overloaded
from common.keys import shard_keys
from common.shards import Shards
from common.stream.backlog import ADDED
from common.stream.pack import BYTES_MAX, EVENTS_MAX, encode_pack, packs_of, split_pack
from ingest.intake.backlog import Backlog
from ingest.intake.pace import FixPace, Unlimited
from ingest.intake.per_driver import Limit, PerDriver
from ingest.intake.producer import Producer
from ingest.intake.writer.stream_writer import StreamWriter
from ingest.intake.writer.turns import Turns
from tests.clients.opened import opened
from tests.entries import STREAM, fixes_in, packs_in
from tests.servers import RedisServer, valkey
from tests.servers.ingest_server import ingest
from tests.servers.redis_cluster import AnyRedis
from tests.wait import pace, wait_until

KEYS = shard_keys("driver-locations", 0, 1)
ONE = "/api/v1/drivers/{}/location"
FIX = {"latitude": 1.0, "longitude": 2.0}


@asynccontextmanager
async def producing(
    server: AnyRedis, pace: FixPace | None = None, *, backlog_max: int = 100_000
) -> AsyncIterator[tuple[Producer, Backlog]]:
    """A producer into one shard, and what it knows of the shard's room."""
    shards, pace = Shards("driver-locations", 1), pace or Unlimited()
    async with opened(server.url, reply_timeout_s=1.5) as nodes:
        turns = Turns(nodes, shards, gap_s=0.0, timeout_s=1.5, bytes_max=16_000_000)
        backlog = Backlog(nodes, shards, turns, backlog_max)
        await backlog.poll()
        yield Producer(StreamWriter(turns, shards, backlog.capacity, pace.terms), pace), backlog


def added(server: AnyRedis) -> int:
    reply = server.command("HGET", KEYS.counts, ADDED)
    return 0 if reply == b"$-1\r\n" else int(reply.split(b"\r\n")[1])


@pytest.fixture
def own_server() -> Iterator[RedisServer]:
    """A Valkey to be mistreated."""
    with valkey("--maxmemory-policy", "noeviction") as server:
        yield server


@pytest.mark.cluster_too
def test_a_position_names_the_entry_and_the_place(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server) as (producer, _):
            sent = [b"%d" % n for n in range(300)]
            receipts = await asyncio.gather(*(producer.add([("d", event)]) for event in sent))
        where = {}
        for name, pack in packs_in(redis_server, STREAM):
            events = split_pack(pack)
            for place, event in enumerate(events):
                where[event] = f"0-{name}" if len(events) == 1 else f"0-{name}-{place}"
        assert list(where) == sent
        assert [receipt.message_id.decode() for receipt in receipts] == list(where.values())
        assert added(redis_server) == 300

    asyncio.run(run())


@pytest.mark.cluster_too
def test_a_body_stands_together_and_in_order_whatever_else_comes(redis_server: AnyRedis) -> None:
    async def run() -> None:
        async with producing(redis_server) as (producer, _):
            bodies = [[("d", b"%d.%d" % (body, n)) for n in range(150)] for body in range(6)]
            ones = [[("e", b"one %d" % n)] for n in range(6)]
            await asyncio.gather(
                *(producer.add(each) for pair in zip(bodies, ones, strict=True) for each in pair)
            )
        packs = [split_pack(pack) for _, pack in packs_in(redis_server, STREAM)]
        wanted = [
            event for body, one in zip(bodies, ones, strict=True) for _, event in (*body, *one)
        ]
        assert [event for pack in packs for event in pack] == wanted
        assert max(map(len, packs)) <= EVENTS_MAX
        assert len(packs) < 12 * 150 / EVENTS_MAX

    asyncio.run(run())


def test_a_full_redis_takes_nothing_of_a_turn_and_tells_everybody(own_server: RedisServer) -> None:
    async def run() -> None:
        async with producing(own_server) as (producer, _):
            await producer.add([("d", b"x")])
            own_server.command("CONFIG", "SET", "maxmemory", "1")
            refused = await asyncio.gather(
                *(producer.add([("d", b"x")] * count) for count in (1, 1, 200, 200)),
                return_exceptions=True,
            )
            assert [type(each) for each in refused] == [Overloaded] * 4
            own_server.command("CONFIG", "SET", "maxmemory", "0")
            assert (fixes_in(own_server, STREAM), added(own_server)) == (1, 1)
            await producer.add([("d", b"x")] * 3)
            assert (fixes_in(own_server, STREAM), added(own_server)) == (4, 4)

    asyncio.run(run())


def test_a_redis_that_dies_in_a_turn_never_made_a_false_receipt(own_server: RedisServer) -> None:
    async def run() -> None:
        accepted: list[bytes] = []
        async with producing(own_server) as (producer, _):

            async def send(number: int) -> None:
                for n in range(200):
                    event = b"%d.%d" % (number, n)
                    try:
                        await producer.add([("d", event)])
                    except Overloaded:
                        return
                    accepted.append(event)

            senders = [asyncio.create_task(send(number)) for number in range(40)]
            while len(accepted) < 200:
                await pace(0)
            await asyncio.to_thread(own_server.kill)
            await asyncio.gather(*senders)
        own_server.start()
        packs = [split_pack(pack) for _, pack in packs_in(own_server, STREAM)]
        stored = [event for pack in packs for event in pack]
        assert len(stored) == len(set(stored))
        assert set(accepted) <= set(stored)
        # A crash may fall between a pack and its count.
        assert 0 <= len(stored) - added(own_server) <= EVENTS_MAX

    asyncio.run(run())


def test_room_is_counted_in_fixes_over_old_entries_and_packs(redis_server: AnyRedis) -> None:
    """An older release's entries have one fix each, and nobody counted them."""
    for number in range(10):
        redis_server.command("XADD", STREAM, "*", "e", f"old {number}")

    async def run() -> None:
        async with producing(redis_server, backlog_max=40) as (producer, backlog):
            with pytest.raises(Overloaded, match="too many fixes"):
                await producer.add([("d", b"x")] * 31)
            await producer.add([("d", b"x")] * 30)
            with pytest.raises(Overloaded, match="too many fixes"):
                await producer.add([("d", b"x")])
            # The consumer of this release counts what it finds, and settles 25.
            redis_server.command("HSET", KEYS.counts, ADDED, "40", "settled", "25")
            await backlog.poll()
            await producer.add([("d", b"x")] * 25)
            with pytest.raises(Overloaded, match="too many fixes"):
                await producer.add([("d", b"x")])
            packs = [pack for _, pack in packs_in(redis_server, STREAM)]
            assert packs[:10] == [b"old %d" % n for n in range(10)]
            assert fixes_in(redis_server, STREAM) == 65

    asyncio.run(run())


def test_what_gathers_during_a_look_still_counts(redis_server: AnyRedis) -> None:
    """The look cannot see it, and its room was given away a second time."""

    async def run() -> None:
        async with producing(redis_server, backlog_max=100) as (producer, backlog):
            for _ in range(5):
                sent = asyncio.gather(*(producer.add([("d", b"x")]) for _ in range(10)))
                await pace(0)
                await backlog.poll()
                await sent
            await producer.add([("d", b"x")] * 50)
            with pytest.raises(Overloaded):
                await producer.add([("d", b"x")])

    asyncio.run(run())


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counts=st.lists(
        st.integers(0, 3) | st.integers(EVENTS_MAX - 2, EVENTS_MAX + 3), min_size=1, max_size=3
    ),
    length=st.sampled_from([1, 60, BYTES_MAX // 2, BYTES_MAX]),
    burst=st.sampled_from([1, 200, 10_000]),
)
def test_the_rates_script_makes_the_packs_that_everybody_makes(
    redis_server: AnyRedis, counts: list[int], length: int, burst: int
) -> None:
    redis_server.clear()
    lengths = [1 if n > 3 else length for n in counts for _ in range(n)]
    events = [b"%d" % n + b"x" * size for n, size in enumerate(lengths)] or [b"x"]

    async def run() -> None:
        pace = PerDriver(Limit(0.001, burst))
        async with producing(redis_server, pace) as (producer, _):
            await producer.add([("d", event) for event in events])

    asyncio.run(run())
    wanted = [encode_pack(pack) for pack in packs_of(events[:burst])]
    assert [pack for _, pack in packs_in(redis_server, STREAM)] == wanted
    assert added(redis_server) == len(events[:burst])


def test_over_http_the_answer_names_where_the_fix_is(redis_server: AnyRedis) -> None:
    """Many phones at once, through the server that drivers meet, until some share an entry."""

    async def post(api: httpx.AsyncClient, driver: str) -> tuple[str, str]:
        answer = await api.post(ONE.format(driver), json=FIX)
        assert answer.status_code == 202
        return driver, answer.json()["message_id"]

    async def run(url: str) -> list[tuple[str, str]]:
        named: list[tuple[str, str]] = []
        async with httpx.AsyncClient(base_url=url, timeout=10) as api, asyncio.timeout(30):
            while not any(name.count("-") > 2 for _, name in named):
                # A driver's first fix goes through the rate's script, and alone.
                named += await asyncio.gather(*(post(api, f"d{n}") for n in range(40)))
        return named

    with ingest(REDIS_URL=redis_server.url, SHARDS="1", PACK_GAP_MS="20") as server:
        with httpx.Client(base_url=server.url) as api:
            wait_until(lambda: api.get("/health").status_code == 200)
        named = asyncio.run(run(server.url))
    packs = {name: split_pack(pack) for name, pack in packs_in(redis_server, STREAM)}
    assert sum(map(len, packs.values())) == len(named)
    for driver, name in named:
        _, ms, sequence, *place = name.split("-")
        events = packs[f"{ms}-{sequence}"]
        assert bool(place) == (len(events) > 1)
        assert json.loads(events[int(place[0]) if place else 0])["driver_id"] == driver
