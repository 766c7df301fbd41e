"""Rubbish in Redis, where leases, hosts and layouts are kept: one line, and everybody goes on."""

import asyncio
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from common.errors import ConfigError
from common.keys import ARRIVALS_LEADER, HOSTS, HOSTS_DRAINED, HOSTS_NEWS, HOSTS_SAID, META
from common.layout import UnreadableLayout
from common.redis.client import new_client
from common.redis.layout_watch import LayoutReader
from common.redis.meta import check_meta
from common.redis.nodes import Nodes
from common.redis.replication import Mode, Replication
from common.redis.wire import Wire
from consumers.arrivals.lead import Lead
from consumers.live.write_fence import WriteFence
from consumers.sharing.facts import HostTerms, Sharing
from consumers.sharing.membership import HOSTS_MAX, Membership
from consumers.stream.counts.counts import Counts
from consumers.stream.counts.settled import SettledFixes
from consumers.stream.lease import TTL_S, Lease
from deploy.tools.hosts.state import read_hosts
from tests.roles.shard import KEYS, payload, shard, worker_settings, working
from tests.servers import RedisServer

# What somebody puts where something else belongs.
PUT: dict[str, Any] = {
    "text": lambda key: ("SET", key, b"\xff{rubbish}"),
    "text for long": lambda key: ("SET", key, "rubbish", "EX", "100000"),
    "a list": lambda key: ("RPUSH", key, "rubbish"),
    "a hash": lambda key: ("HSET", key, "rubbish", "x"),
    "a stream": lambda key: ("XADD", key, "*", "rubbish", "x"),
}


@pytest.mark.parametrize("kind", PUT)
def test_a_shard_is_taken_whatever_lies_where_its_lease_should(one_server, kind):
    """A lease without an end kept its shard without a writer for ever."""

    async def main() -> None:
        wire = Wire(one_server.url, reply_timeout_s=5.0)
        await wire.start()
        try:
            lease = Lease(wire, KEYS, Replication(Mode.AUTO, expected=False))
            fence = WriteFence(wire, KEYS.fence, lease)
            for key in (KEYS.consumer, KEYS.fence):
                await wire.send(*PUT[kind](key))
            assert await lease.acquire() is None
            assert 0 < await wire.send("TTL", KEYS.consumer) <= TTL_S
            # It may come later, too.
            await wire.send("DEL", KEYS.fence)
            await wire.send(*PUT[kind](KEYS.fence))
            await lease.renew()
            await fence.arm()
            commands = fence.around([("SET", KEYS.probe, "1")])
            assert fence.opened(await wire.pipeline_raw(commands)) == [b"OK"]
        finally:
            await wire.close()

    asyncio.run(main())


def test_a_lease_that_is_no_text_and_ends_is_waited_for(one_server):
    """The worker ended with a traceback, and so did each that was started in its place."""

    async def main() -> None:
        wire = Wire(one_server.url, reply_timeout_s=5.0)
        await wire.start()
        try:
            lease = Lease(wire, KEYS, Replication(Mode.AUTO, expected=False))
            await wire.send("SET", KEYS.consumer, b"\xff", "EX", TTL_S)
            assert await lease.acquire() == "\ufffd"
        finally:
            await wire.close()

    asyncio.run(main())


@pytest.mark.parametrize("kind", PUT)
def test_arrivals_are_led_whatever_lies_where_the_right_should(one_server, kind):
    """Nobody worked them out any more. And who gives the right back takes nobody else's."""

    async def main() -> None:
        wire = Wire(one_server.url, reply_timeout_s=5.0)
        await wire.start()
        try:
            lead, other = Lead(Nodes(wire)), Lead(Nodes(wire))
            await wire.send(*PUT[kind](ARRIVALS_LEADER))
            assert await lead.ask(0.0)
            assert not await other.ask(0.0)
            await wire.send("DEL", ARRIVALS_LEADER)
            assert await other.ask(10.0)
            await lead.give_back()
            assert await other.ask(20.0)
            assert not await lead.ask(20.0)
        finally:
            await wire.close()

    asyncio.run(main())


@pytest.mark.parametrize("field", ["added", "settled", "both"])
def test_totals_that_are_no_numbers_are_made_anew_once_nothing_waits(one_server, field):
    """Nothing could be added to them, for ever."""

    async def main() -> None:
        wire = Wire(one_server.url, reply_timeout_s=5.0)
        await wire.start()
        try:
            await wire.send("HSET", KEYS.counts, "added", "7", "settled", "7", "repeats", "few")
            for name in ("added", "settled") if field == "both" else (field,):
                await wire.send("HSET", KEYS.counts, name, "many")
            await wire.send("XGROUP", "CREATE", KEYS.stream, "g", "0", "MKSTREAM")
            await SettledFixes(wire, KEYS, groups=("g",)).even_out()
            added, settled = await wire.send("HMGET", KEYS.counts, "added", "settled")
            assert added == settled
            assert added.isdigit()
            await Counts(wire, KEYS.counts).keep()
        finally:
            await wire.close()

    asyncio.run(main())


def looked(server: RedisServer) -> Sharing:
    """What a host sees that comes now."""

    async def main() -> Sharing:
        wire, news = (Wire(server.url, reply_timeout_s=5.0) for _ in range(2))
        settings = worker_settings(server.url, "postgresql://nobody@127.0.0.1:9/none")
        for each in (wire, news):
            await each.start()
        try:
            member = Membership(Nodes(wire), news, "me-000000", None, settings)
            facts = await member.look()
            await member.wait_for_news(0.01)
            await member.leave()
            return facts
        finally:
            for each in (wire, news):
                await each.close()

    return asyncio.run(main())


@pytest.mark.parametrize("kind", PUT)
def test_hosts_find_each_other_whatever_lies_where_they_are_kept(one_server, kind):
    for key in (HOSTS, HOSTS_SAID, HOSTS_DRAINED, HOSTS_NEWS):
        one_server.command(*PUT[kind](key))
    assert looked(one_server) == Sharing({"me-000000": HostTerms()}, {}, 4)


def test_a_host_that_was_heard_before_the_clock_was_set_back_says_it_again_or_is_none(one_server):
    now_ms = int(time.time() * 1000)
    for name, at_ms in (("dead-000000", now_ms + 3_600_000), ("well-000000", now_ms)):
        one_server.command("ZADD", HOSTS, str(at_ms), name)
    assert looked(one_server).hosts.keys() == {"me-000000", "well-000000"}


def test_five_thousand_forged_hosts_are_seen_and_not_counted(one_server):
    with new_client(one_server.url, decode=False) as client:
        now_ms = int(time.time() * 1000)
        client.zadd(HOSTS, {f"forged-{n}": now_ms for n in range(5000)})
        client.zadd(HOSTS, {b"\xff\x1b[2J": now_ms, b"x" * 10_000: now_ms})
        client.hset(HOSTS_SAID, b"\xff\x1b[2J", b"x" * 1_000_000)
        client.set(KEYS.consumer, "boot/ns/1/nonce/forged-7", ex=TTL_S)
        settings = worker_settings(one_server.url, "postgresql://nobody@127.0.0.1:9/none")
        found = read_hosts(client, settings)
        with capture_logs() as said:
            began_s = time.monotonic()
            facts = looked(one_server)
    assert len(found.hosts) <= HOSTS_MAX + 1
    assert found.more == 5002 - HOSTS_MAX
    assert facts.hosts == {"me-000000": HostTerms(), "forged-7": HostTerms()}
    assert facts.owners == {0: "forged-7"}
    assert [line["event"] for line in said] == ["hosts.too_many"]
    # Well within the beat of an agent, wherever it runs.
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize("rubbish", [b"many", b"0", b"99999999", b"\xff", b"4\x1b[2J"])
def test_a_layout_that_cannot_be_read_stops_a_start_with_one_line(one_server, rubbish):
    asyncio.run(check_meta(one_server.url, 4))
    one_server.command("HSET", META, "shards", rubbish)
    with pytest.raises(ConfigError, match="REDIS_URL: fleetline:meta says shards") as refused:
        asyncio.run(check_meta(one_server.url, 4))
    assert str(refused.value).isprintable()
    settings = worker_settings(one_server.url, "postgresql://nobody@127.0.0.1:9/none")
    with (
        new_client(one_server.url, decode=False) as client,
        pytest.raises(UnreadableLayout, match="fleetline:meta"),
    ):
        read_hosts(client, settings)


def test_who_runs_goes_on_with_the_layout_that_it_knows(one_server):
    async def main() -> None:
        wire = Wire(one_server.url, reply_timeout_s=5.0)
        await wire.start()
        try:
            reader = LayoutReader(Nodes(wire))
            assert await reader.read() is None
            await wire.send("HSET", META, "shards", "8", "epoch", "3")
            known = await reader.read()
            with capture_logs() as said:
                await wire.send("HSET", META, "epoch", "third")
                assert await reader.read() == known
                await wire.send("DEL", META)
                await wire.send("SET", META, "rubbish")
                assert await reader.read() == known
            assert [line["event"] for line in said] == ["layout.unreadable"]
        finally:
            await wire.close()

    asyncio.run(main())


def test_a_worker_begins_whatever_its_cursor_says(one_server, database_url):
    """It ended with a traceback, and each that was started in its place."""

    async def main() -> None:
        servers = one_server.url, database_url
        async with shard(*servers) as it:
            await it.redis.hset(KEYS.cursor, mapping={"id": "rubbish", "begun": "x", "trial": "y"})
            await it.redis.set(KEYS.places, "rubbish", ex=60)
            sent = payload(1)
            await it.add(sent)
            async with working(worker_settings(*servers)):
                await it.stored(1)
            assert await it.live("d1") == sent

    asyncio.run(main())
