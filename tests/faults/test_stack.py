"""Faults of a whole stack that need no round of chaos: what goes wrong, and what must not."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import redis

from common.keys import shard_keys, shard_of
from consumers.stream.counts.counts import NAMES as COUNTS
from tests.faults.caller import Caller
from tests.freezing import frozen
from tests.stack import Stack, fleetline
from tests.system.test_up import count_rows, goes_all_the_way, shards_work
from tests.wait import wait_until

_numbers = itertools.count()
# A storm has hundreds of lines a second.
LINES_PER_S_MAX = 10
FLUSHES = 4
FIX = {"latitude": 53.4, "longitude": -2.9}


def new_driver(shard: int | None = None) -> str:
    names = (f"fault-{next(_numbers)}" for _ in itertools.count())
    return next(name for name in names if shard is None or shard_of(name, 4) == shard)


def now() -> str:
    return datetime.now(UTC).isoformat()


def post(stack: Stack, driver: str, **more: object) -> int:
    path = f"/api/v1/drivers/{driver}/location"
    return int(stack.request("POST", path, {**FIX, "recorded_at": now(), **more})[0])


def is_refused(stack: Stack, batch: list[dict[str, object]]) -> bool:
    return bool(stack.request("POST", "/api/v1/drivers/locations", batch)[0] == 503)


def stored_of(stack: Stack, drivers: list[str]) -> int:
    return count_rows(stack, f"driver_id IN ({', '.join(map(repr, drivers))})")


def log_lines(stack: Stack) -> int:
    return sum(log.read_bytes().count(b"\n") for log in (stack.home / "log").glob("*.log"))


def alarms(stack: Stack) -> list[dict[str, Any]]:
    """The workers' lines that say that Redis lost their group."""
    logs = [log.read_text() for log in sorted((stack.home / "log").glob("consumers.log"))]
    lines = [line for log in logs for line in log.splitlines() if '"group.lost"' in line]
    return sorted(map(json.loads, lines), key=lambda alarm: str(alarm["timestamp"]))


def looked_at(alarm: dict[str, Any]) -> datetime:
    """When the worker that tells of the loss had last seen its group."""
    said_at = datetime.fromisoformat(alarm["timestamp"])
    # To a tenth of a second.
    return said_at - timedelta(seconds=alarm["seen_before_s"] + 0.1)


def all_groups_are_there(client: Any) -> bool:
    try:
        return all(
            client.xinfo_groups(shard_keys("driver-locations", n, 4).stream) for n in range(4)
        )
    except redis.ResponseError:
        return False


def shard_counts(stack: Stack) -> Counter[str]:
    """What `fleetline status` counts, of all shards together."""
    result = fleetline("status", "--json", "--home", str(stack.home))
    total: Counter[str] = Counter()
    for shard in json.loads(result.stdout)["shards"]:
        total.update({name: shard[name] for name in COUNTS})
    return total


def test_a_full_shard_refuses_and_takes_fixes_again_without_a_restart(stack: Stack) -> None:
    driver, other = new_driver(2), new_driver(1)
    ingest = stack.pid("ingest")
    with frozen(stack.pid("consumer-2")):
        for size in (200, 20, 1):
            # A body that does not fit is refused whole: smaller ones fill what is left.
            batch = [{**FIX, "driver_id": driver}] * size
            wait_until(partial(is_refused, stack, batch))
        assert post(stack, other) == 202
    wait_until(lambda: post(stack, driver) == 202, what="room in the shard")
    assert stack.pid("ingest") == ingest


def test_a_flushed_redis_is_worked_with_again_at_once(stack: Stack) -> None:
    """What was under way is lost with it; nothing else is, each loss is said, nobody fills logs."""
    with redis.Redis.from_url(stack.redis_url) as client:
        before, under_way = ([new_driver(n % 4) for n in range(FLUSHES)] for _ in range(2))
        assert {post(stack, driver) for driver in before} == {202}
        wait_until(lambda: stored_of(stack, before) == FLUSHES)
        # What a look before this saw waiting may be others' fixes.
        quiet_at = datetime.now(UTC)
        counted, said = shard_counts(stack), alarms(stack)
        lines, began_s = log_lines(stack), time.monotonic()
        for driver in under_way:
            assert post(stack, driver) == 202
            wait_until(partial(all_groups_are_there, client))
            client.flushall()
        # On every shard, at once, and without a restart.
        shards_work(stack)
        # A second for each: the history looks for its group five times a second.
        assert time.monotonic() - began_s < 20
    assert stored_of(stack, before) == FLUSHES
    lost = FLUSHES - stored_of(stack, under_way)
    assert 0 <= lost <= FLUSHES
    took_s = time.monotonic() - began_s
    # Each of four workers says once for each flush that it made its group, and that it healed.
    assert log_lines(stack) - lines < FLUSHES * 4 * 3 + LINES_PER_S_MAX * took_s
    # An alarm for each of them, with what was seen waiting.
    found = alarms(stack)[len(said) :]
    assert len(found) == FLUSHES * 4
    # One fix, which may be handed out between the two questions of a look.
    waited = [alarm["waited"] for alarm in found if looked_at(alarm) > quiet_at]
    assert waited
    assert all(0 <= n <= 2 for n in waited)
    # It looks once a second, and the machine may be busy.
    assert max(alarm["seen_before_s"] for alarm in found) < 10
    wait_until(lambda: shard_counts(stack)["groups_lost"] - counted["groups_lost"] == FLUSHES * 4)


def test_a_frozen_redis_is_503_in_two_seconds_and_fills_no_logs(stack: Stack) -> None:
    lines = log_lines(stack)
    began_s = time.monotonic()
    with frozen(stack.pid("redis")):
        for _ in range(3):
            asked_s = time.monotonic()
            assert post(stack, new_driver()) == 503
            assert time.monotonic() - asked_s < 2
    goes_all_the_way(stack)
    took_s = time.monotonic() - began_s
    assert log_lines(stack) - lines < 20 + LINES_PER_S_MAX * took_s


def test_a_redis_that_became_read_only_is_503_until_it_is_none(stack: Stack) -> None:
    with redis.Redis.from_url(stack.redis_url) as client:
        client.replicaof("127.0.0.1", 1)
        try:
            wait_until(lambda: post(stack, new_driver()) == 503)
        finally:
            client.replicaof("NO", "ONE")
        goes_all_the_way(stack)


def test_each_fix_sent_up_to_five_times_at_once_is_one_row(stack: Stack) -> None:
    """On connections of their own, so that the workers of ingest share them; and again later.

    Later in other versions, too; what comes again is counted.
    """
    base = datetime.now(UTC)
    fixes = [(new_driver(), base + timedelta(microseconds=n)) for n in range(60)]

    async def send(driver: str, when: datetime, speed: float) -> int:
        caller = Caller(stack.port)
        body = {**FIX, "recorded_at": when.isoformat(), "speed": speed}
        answer = await caller.post(f"/api/v1/drivers/{driver}/location", body)
        caller.close()
        return answer.status if answer is not None else 0

    async def send_all(*, versions: bool) -> int:
        """Each fix one to five times, all the same or each with a speed of its own; how many."""
        copies = [(fix, m) for n, fix in enumerate(fixes) for m in range(n % 5 + 1)]
        sent = [send(*fix, m + 2.0 if versions else 1.0) for fix, m in copies]
        assert set(await asyncio.gather(*sent)) == {202}
        return len(sent)

    where = f"driver_id IN ({', '.join(repr(driver) for driver, _ in fixes)})"
    before = shard_counts(stack)["repeats"]
    sent = asyncio.run(send_all(versions=False))
    wait_until(lambda: count_rows(stack, where) == len(fixes))
    # Long acknowledged; now the same fixes say something else: the first stays.
    sent += asyncio.run(send_all(versions=True))
    sent += asyncio.run(send_all(versions=False))
    # Each shard works in order: what is stored behind them says that they are worked off.
    shards_work(stack)
    assert count_rows(stack, where) == len(fixes)
    assert count_rows(stack, f"{where} AND speed = 1.0") == len(fixes)
    repeats = sent - len(fixes)
    wait_until(lambda: shard_counts(stack)["repeats"] - before >= repeats, what="repeats counted")


def test_odd_clocks_are_judged_the_same_each_time_and_freeze_nobody(stack: Stack) -> None:
    base = datetime.now(UTC).replace(microsecond=123_000)
    ms = round(base.timestamp() * 1000)
    ahead, behind = ((base + timedelta(hours=h)).isoformat() for h in (1, -1))
    stamps: list[tuple[object, int]] = [
        (ms, 202), (ms // 1000, 202), (ms / 1000, 202), (ms * 1000, 422), (0, 422), (-1, 422),
        ("2099-01-01T00:00:00Z", 422), ("1970-01-01T00:00:00Z", 422), (1e300, 422),
        (ahead, 202), (behind, 202),
        ("2026-03-29T01:30:00", 422), ("2026-13-01T00:00:00Z", 422), ("yesterday", 422),
    ]  # fmt: skip
    driver = new_driver()
    for _ in range(2):
        assert [post(stack, driver, recorded_at=s) for s, _ in stamps] == [c for _, c in stamps]
    # Milliseconds, whole or as a fraction of seconds, are one time; each other is its own.
    wait_until(lambda: stored_of(stack, [driver]) == 4)
    goes_all_the_way(stack)
    assert stored_of(stack, [driver]) == 4
    # An hour ahead, and then it moves on all the same.
    assert post(stack, driver, latitude=54.5) == 202

    def moved() -> bool:
        live = stack.request("GET", f"/api/v1/drivers/{driver}/location")[1]
        return bool(live["latitude"] == 54.5)

    wait_until(moved, timeout_s=3)


def test_an_aborted_worker_leaves_its_stacks_in_its_log(stack: Stack) -> None:
    """What the supervisor sends to one that lives and does not advance."""
    pid = stack.pid("consumer-3")
    assert pid is not None
    os.kill(pid, signal.SIGABRT)
    wait_until(lambda: stack.pid("consumer-3") not in {None, pid})
    log = (stack.home / "log" / "consumers.log").read_text()
    assert "Fatal Python error: Aborted" in log
    assert "consumers/worker.py" in log.rpartition("Fatal Python error: Aborted")[2]


def test_a_shard_that_keeps_dying_leaves_the_others_alone(stack: Stack) -> None:
    good = new_driver(0)

    def killed_again() -> bool:
        pid = stack.pid("consumer-2")
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return stack.states().get("consumer-2") in {"backoff", "failed"}

    slowest_s = 0.0
    for n in range(20):
        wait_until(killed_again)
        latitude = 50 + n / 100
        assert post(stack, good, latitude=latitude) == 202
        sent_s = time.monotonic()

        def there(latitude: float = latitude) -> bool:
            status, live = stack.request("GET", f"/api/v1/drivers/{good}/location")
            return bool(status == 200 and live["latitude"] == latitude)

        wait_until(there, timeout_s=3)
        slowest_s = max(slowest_s, time.monotonic() - sent_s)
    assert slowest_s < 1
    wait_until(lambda: stack.states()["consumer-2"] == "running", timeout_s=40)
