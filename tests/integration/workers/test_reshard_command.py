"""`fleetline reshard` as it is typed: wrong numbers, and what it says without doing it."""

import json
import time
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from common.errors import ConfigError, FleetlineError
from common.keys import HOSTS, HOSTS_SAID, META, RESHARDER
from common.layout import SHARDS_MAX, Layout, UnreadableLayout
from common.redis.client import new_client
from common.settings import load_settings
from common.shards import Shards
from deploy.cli import app
from deploy.tools.shards import commands
from deploy.tools.shards.alone import RIGHT_TTL_MS
from deploy.tools.shards.leaving import LeavingShards
from deploy.tools.shards.reshard import Resharding
from deploy.tools.stack_shards import stack_layouts
from tests.servers import RedisServer

Type = Callable[..., str]


@pytest.fixture
def typed(redis_server: RedisServer) -> Type:
    """What the command says to these arguments."""

    def type_(*arguments: str) -> str:
        env = {"REDIS_URL": redis_server.url, "SHARDS": "4", "COLUMNS": "200"}
        done = CliRunner().invoke(app, ["reshard", *arguments], env=env)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    return type_


def host_says(server: RedisServer, terms: dict[str, object]) -> None:
    """A host of consumers that has just said that it lives."""
    server.command("ZADD", HOSTS, str(int(time.time() * 1000)), "ran")
    server.command("HSET", HOSTS_SAID, "ran", json.dumps({"agent": "", **terms}))


def test_numbers_that_are_none(typed: Type) -> None:
    assert commands.SHARDS_MAX == SHARDS_MAX
    assert "greater than or equal to 1" in typed("--shards", "0")
    assert "greater than or equal to 1" in typed("--shards", "-1")
    assert "less than or equal to 1024" in typed("--shards", "1000000000")
    assert "--shards" in typed("--shards", "many")
    for wrong in ((), ("--abort", "--shards", "5"), ("--abort", "--dry-run")):
        with pytest.raises(ConfigError, match="reshard takes --shards N"):
            typed(*wrong)
    for begun in (("--shards", "4"), ("--shards", "4", "--dry-run"), ("--abort",)):
        with pytest.raises(FleetlineError, match="nothing was ever started"):
            typed(*begun)


def test_what_would_be_done(
    typed: Type, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deploy.tools.shards.reshard.HEARD_TIMEOUT_S", -1.0)
    redis_server.command("HSET", META, "shards", "4")
    redis_server.command("XADD", Shards("driver-locations", 4)[1].keys.stream, "*", "e", "x")
    assert typed("--shards", "4") == "there are 4 shards, and no others\n"
    assert typed("--shards", "4", "--dry-run") == "there are 4 shards: nothing would be done\n"
    assert typed("--shards", "7", "--dry-run").splitlines() == [
        "from 4 to 7 shards",
        "entries that would be stored from where they are: 1",
        "no host runs consumers: it would not begin",
        "positions would be read in both for as long as LOCATION_TTL of the consumers",
    ]
    with pytest.raises(FleetlineError, match="no host runs consumers: nothing was begun"):
        typed("--shards", "7")
    host_says(redis_server, {"only": [0, 1, 2]})
    assert "4 shards pass no filter of `--only`: it would not begin" in typed(
        "--shards", "7", "--dry-run"
    )
    with pytest.raises(FleetlineError, match="4 shards pass no filter of `--only`"):
        typed("--shards", "7")
    # Nothing was announced.
    assert redis_server.command("HEXISTS", META, "next_shards") == b":0\r\n"
    redis_server.command("HSET", META, "next_shards", "7", "next_epoch", "2")
    assert "--abort takes it back" in typed("--shards", "7", "--dry-run")
    redis_server.command("HDEL", META, "next_shards", "next_epoch")
    redis_server.command("HSET", META, "old_shards", "3", "old_epoch", "1", "epoch", "2")
    assert "a change from 3 to 4 shards is made" in typed("--shards", "9", "--dry-run")


def test_a_change_with_fixes_in_it_is_not_taken_back(
    typed: Type, redis_server: RedisServer
) -> None:
    """A failover of Redis undid the switch, and an ingest had already written."""
    redis_server.command("HSET", META, "shards", "4", "next_shards", "7", "next_epoch", "2")
    stream = Shards("driver-locations", 7, 2)[3].keys.stream
    redis_server.command("XADD", stream, "*", "e", "x")
    with pytest.raises(FleetlineError, match="run it again with --shards 7"):
        typed("--abort")
    redis_server.command("DEL", stream)
    assert typed("--abort") == "taken back: there are 4 shards\n"


def test_who_stood_still_changes_nothing(redis_server: RedisServer) -> None:
    """One that wakes up finds another at it, or another change: each step looks before it acts."""
    settings = load_settings(redis_url=redis_server.url, shards=4)
    redis_server.command("HSET", META, "shards", "4")
    host_says(redis_server, {})
    with new_client(redis_server.url, decode=False) as client:
        slept = Resharding(client, settings, lambda _: None)
        assert not slept._advance(7)
        assert stack_layouts(client, settings).coming == Layout(7, 2)
        # Its right ran out, and another machine's took it.
        client.set(RESHARDER, "boot/namespace/7/nonce/elsewhere", px=RIGHT_TTL_MS)
        with pytest.raises(FleetlineError, match="pid 7 on elsewhere goes on with it"):
            slept._advance(7)
        # What it took away at its end was the other's.
        slept._alone.give_back()
        assert client.get(RESHARDER) == b"boot/namespace/7/nonce/elsewhere"
        # Others have made that change meanwhile, and another one.
        mapping = {"shards": 9, "epoch": 3, "old_shards": 7, "old_epoch": 2}
        client.hset(META, mapping=mapping)
        client.hdel(META, "next_shards", "next_epoch")
        assert not slept._retire("old", Layout(4, 1))
        assert not slept._retire("next", Layout(7, 2))
        assert stack_layouts(client, settings) == (Layout(9, 3), None, Layout(7, 2))


def test_who_lost_the_right_moves_no_letter(redis_server: RedisServer) -> None:
    """Very many letters take longer than the right lasts, and were moved by two at a time."""
    old, new = Shards("driver-locations", 4), Shards("driver-locations", 7, 2)
    redis_server.command("XADD", old[0].keys.dead, "*", "payload", "x")

    def renew() -> None:
        raise FleetlineError("another is at it")

    with new_client(redis_server.url, decode=False) as client:
        with pytest.raises(FleetlineError, match="another is at it"):
            LeavingShards(client, old, new, renew).move_letters()
        assert client.xlen(old[0].keys.dead) == 1
        LeavingShards(client, old, new, lambda: None).move_letters()
        assert [client.xlen(shard.keys.dead) for shard in (old[0], new[0])] == [0, 1]


def test_what_is_left_of_a_layout_that_cannot_be_read_is_one_line(
    typed: Type, redis_server: RedisServer
) -> None:
    redis_server.command("HSET", META, "shards", "4", "gone_shards", "many", "gone_epoch", "2")
    with pytest.raises(UnreadableLayout, match="'many'"):
        typed("--shards", "7")


@pytest.mark.parametrize(
    "rubbish",
    [("SET", RESHARDER, "x"), ("SET", RESHARDER, "x", "EX", "9999"), ("RPUSH", RESHARDER, "x")],
)
def test_rubbish_where_the_right_should_be_holds_up_nobody(
    typed: Type, redis_server: RedisServer, rubbish: tuple[str, ...]
) -> None:
    """It was waited for, for ever: nobody was at it."""
    redis_server.command("HSET", META, "shards", "4")
    redis_server.command(*rubbish)
    assert typed("--shards", "4") == "there are 4 shards, and no others\n"
