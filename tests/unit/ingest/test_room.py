"""How many fixes may wait by number and by memory, and how long that lasts."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.stream.memory import RedisMemory, read_memory, reserve_bytes
from ingest.intake.capacity import Capacity
from ingest.intake.outlook import Outlook
from ingest.intake.room import (
    FIX_BYTES,
    FIX_BYTES_MAX,
    MEASURED_FIXES_MIN,
    UNDER_WAY,
    BacklogPace,
    ServerMemory,
    ShardLook,
    ShardRoom,
    room_of,
    rooms_of,
    share_of,
)

FIX_SIZES = st.integers(150, FIX_BYTES_MAX)
MB = 1_048_576


class Server:
    """Model of a Redis: fixes that wait in its shards, and what each takes."""

    def __init__(self, shards: int, limit: int, used: int, fix_bytes: int) -> None:
        self.waiting = [0] * shards
        self.added = [0] * shards
        self.limit, self._used, self.fix_bytes = limit, used, fix_bytes

    @property
    def memory(self) -> RedisMemory:
        return RedisMemory(self._used + sum(self.waiting) * self.fix_bytes, self.limit)

    @property
    def bound(self) -> int:
        return self.limit - reserve_bytes(self.limit)


class Worker:
    """What a worker of ingest makes of it, by the same steps as `Backlog`."""

    def __init__(self, shards: int, fixes_max: int) -> None:
        self.capacity = Capacity(shards, fixes_max)
        self.memory = ServerMemory()
        self.outlooks = [Outlook() for _ in range(shards)]
        self._fixes_max = fixes_max

    def look(self, now_s: float, server: Server) -> None:
        snapshot = self.capacity.snapshot([0] * len(server.waiting))
        self.memory.look(now_s, server.memory, sum(server.waiting))
        for outlook, added, waiting in zip(
            self.outlooks, server.added, server.waiting, strict=True
        ):
            outlook.look(now_s, added, waiting)
        share = share_of(self.memory.fixes(), len(server.waiting))
        self.capacity.correct(snapshot, list(server.waiting), share)

    def rooms(self, server: Server) -> list[ShardRoom]:
        paces = [outlook.pace() for outlook in self.outlooks]
        looks = map(ShardLook, server.waiting, self.capacity.rooms(), paces)
        return rooms_of([*looks], self._fixes_max, self.memory.fixes())

    def take(self, server: Server, shard: int, fixes: int) -> int:
        """Take as many of these as there is room for; how many were refused."""
        taken = min(fixes, max(0, self.capacity.rooms()[shard]))
        counts = [0] * len(server.waiting)
        counts[shard] = taken
        self.capacity.reserve_all(counts)
        server.waiting[shard] += taken
        server.added[shard] += taken
        return fixes - taken


RATES = st.lists(st.integers(0, 3000), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    rates=RATES, workers=st.integers(1, 3), fix_bytes=FIX_SIZES, used=st.floats(0, 1),
    limit=st.integers(20 * MB, 200 * MB), fixes_max=st.integers(1000, 100_000),
    stored=st.integers(0, 100),
)  # fmt: skip
def test_memory_and_number_bound_what_waits_and_nothing_is_refused_before(
    *, rates, workers, fix_bytes, used, limit, fixes_max, stored
):
    """Of all sizes of a fix, by several workers that each see only their own between two looks."""
    shards = len(rates)
    server = Server(shards, limit, int(limit * used), fix_bytes)
    before = server.memory.used_bytes
    crew = [Worker(shards, fixes_max) for _ in range(workers)]
    second_bytes = sum(rates) * fix_bytes
    for second in range(60):
        for worker in crew:
            worker.look(float(second), server)
        space = server.bound - server.memory.used_bytes
        for shard, rate in enumerate(rates):
            by_number = fixes_max - server.waiting[shard] - rate
            refused = sum(worker.take(server, shard, rate // workers) for worker in crew)
            # Two seconds for the hottest shard, whatever a fix is thought to take.
            plenty = 2 * shards * max(rates) * max(fix_bytes, FIX_BYTES)
            assert not refused or by_number < 0 or space < plenty
        under_way = shards * UNDER_WAY * fix_bytes
        most = max(before, server.bound) + second_bytes + under_way
        # Where a fix takes more than is thought, what it takes is known after so many.
        unknown = MEASURED_FIXES_MIN * max(0, fix_bytes - FIX_BYTES)
        assert server.memory.used_bytes <= most + unknown + second_bytes
        assert all(
            each <= fixes_max + rate for each, rate in zip(server.waiting, rates, strict=True)
        )
        server.waiting = [each * (100 - stored) // 100 for each in server.waiting]


def with_bound(bound):
    """A limit of which so much is for fixes that wait."""
    return next(
        limit
        for limit in (int(bound / 0.75), bound + 32 * MB, int(bound / 0.9))
        if limit - reserve_bytes(limit) == pytest.approx(bound, abs=2)
    )


@pytest.mark.parametrize(
    ("limit_mb", "reserve_mb"), [(8, 2), (64, 16), (128, 32), (200, 32), (320, 32), (1000, 100)]
)
def test_a_tenth_is_left_to_the_rest_and_of_a_small_server_more(limit_mb, reserve_mb):
    assert reserve_bytes(limit_mb * MB) == reserve_mb * MB


@settings(max_examples=60, deadline=None)
@given(
    rates=st.lists(st.integers(500, 3000), min_size=1, max_size=4),
    fix_bytes=st.integers(200, 600),
    seconds=st.integers(40, 200),
    by_memory=st.booleans(),
)
def test_what_is_told_in_the_middle_of_an_outage_comes_true(rates, fix_bytes, seconds, by_memory):
    """Nothing is stored any more: the first refusal comes when it was said to."""
    growth_bytes = sum(rates) * fix_bytes
    limit = with_bound(seconds * growth_bytes) if by_memory else 1 << 60
    fixes_max = 1 << 60 if by_memory else max(rates) * seconds
    server, worker = Server(len(rates), limit, 0, fix_bytes), Worker(len(rates), fixes_max)
    rooms: list[ShardRoom] = []
    for second in range(2 * seconds):
        worker.look(float(second), server)
        if second == seconds // 2:
            rooms = worker.rooms(server)
        if sum(worker.take(server, shard, rate) for shard, rate in enumerate(rates)):
            break
    soonest = min(room.lasts_s for room in rooms)
    measured = seconds // 2 * sum(rates) >= MEASURED_FIXES_MIN
    off = 0 if measured or not by_memory else abs(fix_bytes / FIX_BYTES - 1) * seconds
    assert soonest == pytest.approx(second - seconds // 2, abs=2 + len(rates) + 1.2 * off)
    # In an outage both are the same.
    assert soonest == pytest.approx(min(room.outage_s for room in rooms))


def told(waiting, paces, fixes_max, fixes):
    """The rooms of shards that a capacity has just been told of."""
    share = share_of(fixes, len(waiting))
    left = [room_of(each, fixes_max, share) for each in waiting]
    return rooms_of([*map(ShardLook, waiting, left, paces)], fixes_max, fixes)


def test_while_nothing_grows_it_lasts_for_ever_and_is_known_for_an_outage():
    pace = BacklogPace(growth=0.0, arrivals=100.0)
    assert told([0], [pace], 60_000, None) == [ShardRoom(60_000, math.inf, 600.0)]
    rests = [BacklogPace()]
    assert told([0], rests, 60_000, 30_000) == [ShardRoom(30_000, math.inf, math.inf)]


def test_memory_lasts_as_long_for_the_shards_that_do_not_grow():
    """They share it: when it is gone, none takes a fix."""
    grows, rests = BacklogPace(100.0, 100.0), BacklogPace(0.0, 50.0)
    first, second = told([0, 0], [grows, rests], 10**9, 60_000)
    assert (first.lasts_s, second.lasts_s) == (600.0, 600.0)
    assert (first.outage_s, second.outage_s) == (400.0, 400.0)
    # One drains as fast as the other grows: the number alone ends it.
    first, _ = told([0, 50_000], [grows, BacklogPace(-100.0, 0.0)], 10**9, 60_000)
    assert first.lasts_s == 10**9 / 100


def test_the_shorter_of_both_bounds_is_told():
    pace = [BacklogPace(10.0, 10.0)]
    assert told([500], pace, 1000, 10**6) == [ShardRoom(500, 50.0, 50.0)]
    assert told([5000], pace, 10**6, 100) == [ShardRoom(100, 10.0, 10.0)]
    assert told([5000], pace, 10**6, -7) == [ShardRoom(0, 0.0, 0.0)]
    # What this worker has taken since the look is gone, too.
    assert rooms_of([ShardLook(500, 0, pace[0])], 1000, None) == [ShardRoom(0, 0.0, 0.0)]


def test_a_server_that_refuses_every_write_has_no_room():
    """What broke: with few fixes waiting it was said to last for hours."""
    pace = BacklogPace(1.0, 1.0)
    looks = [ShardLook(0, UNDER_WAY, pace), ShardLook(5, UNDER_WAY, pace)]
    assert rooms_of(looks, 10**6, -5, refuses=True) == [ShardRoom(0, 0.0, 0.0)] * 2
    assert RedisMemory(11, 10).refuses
    assert not RedisMemory(10, 10).refuses
    # A share of the machine is our bound, not the server's.
    assert not RedisMemory(11, 10, enforced=False).refuses
    assert not RedisMemory(11, 0).refuses


def test_a_server_that_is_full_of_other_things_still_takes_what_is_stored_at_once():
    """At nine tenths every fix would be refused, though nothing waits and Redis takes it."""
    assert room_of(0, 10_000, share=-5000) == UNDER_WAY
    assert room_of(UNDER_WAY, 10_000, share=-5000) <= 0
    # BACKLOG_MAX holds all the same.
    assert room_of(60, 50, share=-5000) == -10


def test_what_a_fix_takes_is_measured_once_enough_of_them_wait():
    server = ServerMemory()
    server.look(0.0, RedisMemory(50 * MB, 1000 * MB), 0)
    server.look(1.0, RedisMemory(60 * MB, 1000 * MB), MEASURED_FIXES_MIN - 1)
    assert server.fix_bytes == FIX_BYTES
    server.look(2.0, RedisMemory(50 * MB + 40_000 * 250, 1000 * MB), 40_000)
    assert server.fix_bytes == 250
    # It drains: what was measured stays.
    server.look(3.0, RedisMemory(50 * MB, 1000 * MB), 0)
    assert server.fix_bytes == 250
    assert server.fixes() == 850 * MB // 250
    # Something else fills the memory.
    server.look(4.0, RedisMemory(99 * MB, 1000 * MB), 20_000)
    assert server.fix_bytes == FIX_BYTES_MAX


def test_a_server_that_does_not_say_bounds_nothing():
    server = ServerMemory()
    server.look(0.0, None, 10)
    assert server.fixes() is None
    server.look(0.0, RedisMemory(5, 0), 10)
    assert server.fixes() is None
    assert share_of(None, 3) is None
    assert share_of(10, 0) is None
    assert room_of(1, 10, None) == 9


def test_redis_says_how_full_it_is():
    info = b"# Memory\r\nused_memory:1048576\r\nused_memory_human:1M\r\nmaxmemory:2097152\r\n"
    assert read_memory(info) == (1_048_576, 2_097_152, True)
    assert read_memory(info).fullness == 0.5
    assert read_memory(info).room_bytes == 2_097_152 // 4 * 3 - 1_048_576
    # Buffers of replicas are no data.
    assert read_memory(info + b"mem_not_counted_for_evict:48576\r\n").used_bytes == 1_000_000
    # Half of the machine where no limit is set.
    unset = b"used_memory:10\r\nmaxmemory:0\r\ntotal_system_memory:1000\r\n"
    assert read_memory(unset) == (10, 500, False)
    assert read_memory(b"") == (0, 0, False)
    assert read_memory(b"").room_bytes is None
    assert read_memory(b"").fullness == 0.0
