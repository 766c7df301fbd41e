import math

import hiredis

from common.keys import shard_keys
from common.stream.memory import RedisMemory
from ingest.intake.room import ServerRoom, ShardRoom
from ingest.resources.health_report import ShardHealth, questions, read_shard, report
from ingest.resources.room_report import room_report

NONE = hiredis.ReplyError("ERR no such key")
NOW_MS = 1_700_000_005_000


def group(lag: int | None, name: bytes = b"g") -> list[object]:
    facts = (b"name", name, b"consumers", 1, b"pending", 2, b"last-delivered-id", b"0-0")
    return [*facts, b"entries-read", 5, b"lag", lag]


def up(shard: int = 0) -> ShardHealth:
    return ShardHealth(shard, 0, 0, 0, 0, "up")


# As entries of an older release, which nobody counted: one fix each.
UNCOUNTED = [None, None]


def test_a_shard_asks_six_questions() -> None:
    assert len(questions(shard_keys("s", 3, 4), ("g",))) == 6


def test_what_waits_is_said_in_fixes() -> None:
    """An entry holds up to 256 fixes, and a backlog of 40 could have been 10,000."""
    pending = [2, b"1700000000000-1", b"x", []]
    found = read_shard(1, ("g",), [[b"130", b"10"], 9, [group(4)], pending, 7, 1], NOW_MS)
    assert found == ShardHealth(1, 80, 40, 5000, 7, "up")


def test_the_backlog_is_the_lag_of_our_group() -> None:
    replies = [
        UNCOUNTED,
        9,
        [group(99, b"other"), group(4)],
        [2, b"1700000000000-1", b"x", []],
        7,
        1,
    ]
    assert read_shard(1, ("g",), replies, NOW_MS) == ShardHealth(1, 4, 2, 5000, 7, "up")


def test_an_unknown_lag_is_what_is_not_pending() -> None:
    replies = [UNCOUNTED, 9, [group(None)], [2, b"1700000000000-1", b"x", []], 0, 0]
    assert read_shard(0, ("g",), replies, NOW_MS).backlog == 7


def test_of_several_groups_the_one_that_has_most_left_says_what_waits() -> None:
    """One group for each database of the shard's drivers; fixes are counted of all together."""
    behind, oldest = [group(0), group(4, b"g.2")], b"1700000000000-1"
    replies = [
        *([b"130", b"10"], 9, behind, [2, b"1700000004000-1", b"x", []], 7, 1),
        [2, oldest, b"x", []],
    ]
    assert len(questions(shard_keys("s", 3, 4), ("g", "g.2"))) == len(replies)
    assert read_shard(1, ("g", "g.2"), replies, NOW_MS) == ShardHealth(1, 80, 40, 5000, 7, "up")


def test_without_a_group_everything_waits() -> None:
    assert read_shard(0, ("g",), [UNCOUNTED, 9, [], NONE, 0, 0], NOW_MS).backlog == 9


def test_without_a_stream_nothing_waits() -> None:
    found = read_shard(0, ("g",), [UNCOUNTED, 0, NONE, NONE, 0, 0], NOW_MS)
    assert found == ShardHealth(0, 0, 0, 0, 0, "down")


def test_a_clock_that_is_behind_redis_gives_no_negative_age() -> None:
    replies = [UNCOUNTED, 1, [group(0)], [1, b"1700000009000-0", b"x", []], 0, 1]
    assert read_shard(0, ("g",), replies, NOW_MS).oldest_pending_ms == 0


def status(**changes: object) -> object:
    state: dict[str, object] = {
        "accepting": True, "full": False, "redis_up": True, "shards": [up()],
            "apps": {},
    }  # fmt: skip
    return report(**{**state, **changes})["status"]  # type: ignore[arg-type]


def test_down_means_that_fixes_are_refused() -> None:
    assert status() == "ok"
    assert status(accepting=False) == "down"
    assert status(redis_up=False) == "down"


def test_degraded_means_that_something_does_not_follow() -> None:
    assert status(missing_databases=[2]) == "degraded"
    assert status(full=True) == "degraded"
    assert status(shards=[up(), ShardHealth(1, 0, 0, 0, 0)]) == "degraded"


def test_dead_letters_alone_are_no_degradation() -> None:
    assert status(shards=[ShardHealth(0, 0, 0, 0, 50, "up")]) == "ok"


def test_totals_are_unknown_while_redis_cannot_say() -> None:
    found = report(
        accepting=False,
        full=True,
        redis_up=False,
        shards=[ShardHealth(0), ShardHealth(1)],
        apps={},
    )
    assert found["backlog"] is None
    assert found["pending_messages"] is None


def test_the_room_is_that_of_the_shard_whose_ends_first() -> None:
    """Seconds that do not end are null: JSON has no infinity."""
    servers = [
        ServerRoom([1, 3], [ShardRoom(70, 7.0, 3.54), ShardRoom(0, 0.0, 0.0)], None, 300),
        ServerRoom([0], [ShardRoom(90, math.inf, 9.0)], RedisMemory(50, 100), 280),
    ]
    found = room_report(servers)
    assert (found["lasts_s"], found["outage_s"]) == (0.0, 0.0)
    assert found["shards"] == [
        {"shard": 0, "fixes": 90, "lasts_s": None, "outage_s": 9.0},
        {"shard": 1, "fixes": 70, "lasts_s": 7.0, "outage_s": 3.5},
        {"shard": 3, "fixes": 0, "lasts_s": 0.0, "outage_s": 0.0},
    ]
    assert found["servers"] == [
        {
            "shards": [0],
            "lasts_s": None,
            "outage_s": 9.0,
            "used_bytes": 50,
            "limit_bytes": 100,
            "room_bytes": 25,
            "fix_bytes": 280,
        }
    ]


def test_without_an_answer_of_redis_no_room_is_claimed() -> None:
    assert room_report([]) == {"lasts_s": None, "outage_s": None, "shards": [], "servers": []}
