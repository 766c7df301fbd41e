"""`fleetline dead` against real servers: what it shows, what it puts back, what it leaves alone."""

import asyncio
import base64
import json
import sys
from typing import Any

import pytest

from common.errors import ConfigError
from common.keys import FORMAT_VERSION, META, order_key, shard_keys, shard_of
from common.shards import Shards
from common.stream.pack import encode_pack
from deploy import cli
from deploy.tools.dead.letter import parse_name, parse_time
from tests.clients.listening import listening
from tests.roles.shard import NOW, identities, payload, shard, worker_settings, working
from tests.wait import until

UGLY = b'{"driver_id":"[bold]\\u001b[2J"} \x1b]0;x\x07\xff\x00'


@pytest.fixture
def servers(redis_server, database_url, monkeypatch):
    """One shard, so that the worker under test has them all; the commands find it by REDIS_URL."""
    redis_server.command("HSET", META, "shards", "1", "format", str(FORMAT_VERSION))
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    return redis_server.url, database_url


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process: its exit status, output and error."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["fleetline", "dead", *arguments])
        # A worker in this process logs where the command prints.
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return call


async def bury(it: Any, data: bytes, reason: str = "undecodable", letter_id: str = "*") -> str:
    fields = {"id": "1-1", "shard": 0, "driver_id": "d1", "payload": data, "reason": reason}
    made = await it.redis.xadd(it.keys.dead, fields, id=letter_id)
    return f"0-{made.decode()}"


def letters(
    url: str, database_url: str, *bodies: bytes, shards: int = 1, **options: str
) -> list[str]:
    """Dead letters without a worker; their names."""

    async def main() -> list[str]:
        async with shard(url, database_url, shards=shards) as it:
            return [await bury(it, body, **options) for body in bodies]

    return asyncio.run(main())


def test_what_a_worker_buried_is_listed_and_shown_whole(servers, run):
    async def main() -> None:
        async with shard(*servers, shards=1) as it, working(worker_settings(*servers, shards=1)):
            await it.add(UGLY)
            await until(lambda: it.redis.xlen(it.keys.dead))

    asyncio.run(main())
    status, out, _ = run("list")
    assert status == 0
    assert "undecodable" in out
    name = out.splitlines()[1].split()[0]
    status, out, _ = run("show", name)
    assert status == 0
    # Whatever it holds, the terminal stays unharmed.
    assert all(c.isprintable() or c == "\n" for c in out)
    assert r"\x1b]0;x\x07\xff\x00" in out
    letter = json.loads(run("show", name, "--json")[1])
    assert base64.b64decode(letter["payload_base64"]) == UGLY
    assert (letter["shard"], letter["attempts"], letter["reason"]) == (0, 1, "undecodable")
    assert letter["first_seen"] <= letter["failed_at"]
    listed = json.loads(run("list", "--json")[1])
    assert listed == {"count": 1, "dead_letters": [letter]}


def test_filters_limit_and_order(servers, run):
    names = letters(*servers, b"a", b"b", letter_id="*")
    names += letters(*servers, b"c", reason="refused_by_database")

    def listed(*options: str) -> list[str]:
        shown = json.loads(run("list", "--json", *options)[1])
        return [letter["id"] for letter in shown["dead_letters"]]

    assert listed() == names
    assert listed("--reason", "refused_by_database") == names[2:]
    assert listed("--since", "1h", "--shard", "0") == names
    assert listed("--since", "2999-01-01T00:00:00Z") == []
    assert listed("--limit", "2") == names[1:]
    assert "1 older ones are not shown" in run("list", "--limit", "2")[1]
    assert run("list", "--reason", "killed_the_worker")[1] == "no dead letters\n"


def test_a_pack_that_an_older_release_could_not_read_is_replayed_as_a_whole(servers, run):
    """It was left: "undecodable". Accepted fixes lay there for good."""
    good = [payload(n) for n in range(5)]
    letters(*servers, encode_pack([*good, b"never"]), reason="undecodable")
    assert run("replay", "--all")[:2] == (0, "replayed 1, left 0 (undecodable)\n")

    async def main() -> None:
        async with shard(*servers, shards=1) as it:
            assert await it.waiting() == 6
            async with working(worker_settings(*servers, shards=1)):
                await it.stored(5)
                assert await it.rows() == identities([("d1", n) for n in range(5)])
                assert [letter[b"payload"] for letter in await it.dead()] == [b"never"]

    asyncio.run(main())


def test_replay_stores_once_however_often_and_leaves_what_nobody_can_read(servers, run):
    good = [payload(n, speed=1.0) for n in range(250)]
    letters(*servers, *good, b"never", reason="refused_by_database")
    status, out, _ = run("replay", "--all", "--dry-run")
    assert (status, out) == (1, "would be replayed 250, would be left 1 (undecodable)\n")
    status, out, _ = run("replay", "--since", "1h")
    assert (status, out) == (1, "replayed 250, left 1 (undecodable)\n")
    # Nothing but the unreadable one is a letter any more.
    assert run("replay", "--all")[1] == "replayed 0, left 1 (undecodable)\n"

    async def main() -> None:
        async with shard(*servers, shards=1) as it, working(worker_settings(*servers, shards=1)):
            # As if the reply of the first replay had been lost: the same payloads come again.
            await it.add(*good[:100])
            await it.stored(250)
            assert await it.rows() == identities([("d1", n) for n in range(250)])
            assert await it.redis.xlen(it.keys.dead) == 1

    asyncio.run(main())


def test_a_replayed_fix_that_is_older_does_not_move_the_driver(servers, run):
    async def main() -> None:
        async with shard(*servers, shards=1) as it:
            newer = payload(9, order="o")
            async with (
                working(worker_settings(*servers, shards=1)),
                listening(it.redis, order_key("o")) as channel,
            ):
                await it.add(newer)
                await it.stored(1)
                assert await channel.message() == newer
                await bury(it, payload(1, order="o"))
                await asyncio.to_thread(run, "replay", "--all")
                await it.stored(2)
                assert await it.live("d1") == newer
                # Nor does its customer see it.
                await it.add(payload(10, order="o"))
                assert await channel.message() == payload(10, order="o")
            # A worker that starts anew and knows nobody decides the same.
            await bury(it, payload(2, order="o"))
            await asyncio.to_thread(run, "replay", "--all")
            async with working(worker_settings(*servers, shards=1)):
                await it.stored(4)
                assert await it.live("d1") == payload(10, order="o")

    asyncio.run(main())


def test_a_payload_goes_to_its_drivers_shard_wherever_the_letter_lies(servers, run, redis_server):
    redis_server.command("HSET", META, "shards", "4")
    driver = next(f"d{n}" for n in range(100) if shard_of(f"d{n}", 4) == 3)
    letters(*servers, payload(1, driver=driver), shards=4)
    assert run("replay", "--all")[0] == 0

    async def main() -> None:
        async with shard(*servers, shards=4) as it:
            assert await it.redis.xlen(shard_keys("driver-locations", 3, 4).stream) == 1
            assert await it.redis.xlen(it.keys.stream) == await it.redis.xlen(it.keys.dead) == 0

    asyncio.run(main())


def test_letters_of_shards_that_are_left_are_there_too(servers, run, redis_server):
    """What broke: while the number of shards changed, old letters were nowhere."""
    old, new = Shards("driver-locations", 4), Shards("driver-locations", 3, 2)
    layouts = {"shards": 3, "epoch": 2, "old_shards": 4, "old_epoch": 1}
    for name, value in layouts.items():
        redis_server.command("HSET", META, name, str(value))
    for place, driver in ((old[3], "d1"), (new[2], "d2")):
        sent = payload(1, driver=driver).decode()
        redis_server.command("XADD", place.keys.dead, "*", "payload", sent, "reason", "rejected")
    listed = json.loads(run("list", "--json")[1])["dead_letters"]
    assert sorted(letter["id"].partition("-")[0] for letter in listed) == ["2.2", "3"]
    for letter in listed:
        assert json.loads(run("show", letter["id"], "--json")[1])["id"] == letter["id"]
    # The number of a shard is enough, as it was before.
    ours = next(letter["id"] for letter in listed if letter["id"].startswith("2."))
    assert json.loads(run("show", ours.removeprefix("2."), "--json")[1])["id"] == ours
    assert run("replay", "--all")[0] == 0
    assert json.loads(run("list", "--json")[1])["count"] == 0
    # Into the shards that are written.
    for driver in ("d1", "d2"):
        stream = new.of(driver).keys.stream
        assert redis_server.command("XLEN", stream) in {b":1\r\n", b":2\r\n"}


def test_a_full_redis_or_stream_leaves_the_letters(servers, run, redis_server, monkeypatch):
    letters(*servers, payload(1), payload(2))
    monkeypatch.setenv("BACKLOG_MAX", "1")
    status, _, error = run("replay", "--all")
    assert status == 1
    assert "too many fixes waiting" in error
    monkeypatch.delenv("BACKLOG_MAX")
    redis_server.command("CONFIG", "SET", "maxmemory", "1")
    try:
        status, _, error = run("replay", "--all")
    finally:
        redis_server.command("CONFIG", "SET", "maxmemory", "0")
    assert (status, len(error.splitlines())) == (1, 1)
    assert "Redis is full" in error
    assert run("replay", "--all")[1] == "replayed 2, left 0 (undecodable)\n"


def test_purge_removes_only_what_is_older(servers, run):
    letters(*servers, b"old", letter_id="1000-1")
    (kept,) = letters(*servers, b"new")
    assert run("purge", "--before", "1d")[1] == "removed 1\n"
    assert kept in run("list")[1]


@pytest.mark.parametrize(
    ("arguments", "status", "word"),
    [
        (("show", "0-1-1"), 1, "no dead letter 0-1-1"),
        (("show", "7-1-1"), 1, "no dead letter 7-1-1"),
        (("show", "x"), 2, "ID"),
        (("list", "--shard", "1"), 1, "there is no shard 1"),
        (("list", "--since", "yesterday"), 2, "--since"),
        (("list", "--since", "2026-01-01T10:00:00"), 2, "--since"),
        (("list", "--reason", "bad luck"), 2, "undecodable"),
        (("replay",), 2, "--since"),
        (("replay", "--all", "--since", "1h"), 2, "--all"),
        (("purge", "--before", "99999999d"), 2, "--before"),
        (("purge", "--before", "999999w"), 2, "--before"),
    ],
)
def test_a_wrong_command_is_one_line(servers, run, arguments, status, word):
    ended, out, error = run(*arguments)
    assert (ended, out) == (status, "")
    (line,) = error.splitlines()
    assert word in line


def test_a_redis_that_is_away_is_one_line(run, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    status, _, error = run("list")
    (line,) = error.splitlines()
    assert status == 1
    assert "Redis does not answer" in line
    assert "secret" not in line


def test_ids_and_times_as_people_type_them():
    assert parse_name("12-1700000000000-3") == ("12", "1700000000000-3")
    assert parse_name("2.12-1700000000000-3") == ("2.12", "1700000000000-3")
    assert (NOW - parse_time("--since", "2h", NOW)).total_seconds() == 7200
    assert parse_time("--since", NOW.isoformat(), NOW) == NOW
    with pytest.raises(ConfigError):
        parse_name("1-2-3\n")
