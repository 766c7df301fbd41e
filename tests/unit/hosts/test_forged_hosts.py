"""What somebody else has written as a host, a lease or a layout ends no agent and no command."""

import asyncio
import time
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.layout import SHARDS_MAX
from common.settings import Settings
from consumers.sharing.facts import HostTerms, Sharing
from consumers.sharing.host import read_terms
from consumers.sharing.membership import HOSTS_MAX, Membership
from consumers.sharing.plan import plan
from consumers.sharing.share import share
from deploy.tools.hosts.commands import _print_table
from deploy.tools.hosts.state import HostsState, HostState

RUBBISH = [
    b"",
    b"\xff\xfe",
    b"[" * 20_000,
    b'{"agent":"a","x":' + b"[" * 9_000,
    b'{"agent":7}',
    b'{"agent":"a","only":[1e999]}',
    b'{"agent":"a","only":"all"}',
    b'{"agent":"\xff"}',
    b"\x00",
]
WRONG = hiredis.ReplyError("WRONGTYPE Operation against a key holding the wrong kind of value")


class Told:
    """A server that says what a test wants: of the layout, of hosts, and of who holds shards."""

    is_cluster = False

    def __init__(
        self,
        hosts: list[bytes],
        *,
        meta: list[Any] | None = None,
        since: Any = None,
        leases: Any = None,
    ) -> None:
        self._hosts = [len(hosts) // 3, *hosts]
        self._meta = [None] * 6 if meta is None else meta
        self._since = since
        self._leases = leases
        self.closed = False

    def wire(self, _shard: object) -> "Told":
        return self

    key_wire = wire

    async def send(self, *command: Any) -> Any:
        if command[0] == "HMGET":
            return self._meta
        if command[0] == "PTTL":
            return -1
        self.closed = self.closed or command[2] == 2
        return self._hosts

    async def pipeline(self, _commands: list[Any]) -> list[Any]:
        if isinstance(self._since, hiredis.ReplyError):
            raise self._since
        return [self._since, [b"1767261600", b"0"]]

    async def pipeline_raw(self, commands: list[Any]) -> list[Any]:
        return [self._leases] * len(commands)


def look(told: Any, **settings: Any) -> tuple[Sharing, Membership]:
    member = Membership(told, told, "me", None, Settings(**settings))
    return asyncio.run(member.look()), member


@pytest.mark.parametrize("said", RUBBISH)
def test_a_host_that_says_rubbish_may_run_everything(said):
    assert read_terms(said, drained=True) == (HostTerms(drained=True), None)


def test_a_name_that_no_host_gives_itself_is_none():
    """A part of the shards was kept for each, and nobody ever took them."""
    names = [b"\xff\xfe", b"a\nb", b"\x1b[2J", b"", b"x" * 100_000, b"[red]a", b"a b"]
    facts, _ = look(Told([part for name in names for part in (name, b"[", b"")]))
    assert facts.hosts == {"me": HostTerms()}


WORDS = st.binary(max_size=30) | st.sampled_from(RUBBISH)
HOST = st.tuples(
    st.sampled_from([b"a-host", b"other-1f", b"\xff", b"", b"me"]) | st.binary(max_size=9),
    WORDS | st.builds(b'{"agent":"%b","only":%b}'.__mod__, st.tuples(
        st.sampled_from([b"a", b"b/n/7/x/a-host", b"b/n/x"]),
        st.sampled_from([b"null", b"[]", b"[-1]", b"[3,3,99999999999]", b"[0]"]),
    )),
    st.sampled_from([b"", b"1"]),
)  # fmt: skip
LEASE = (
    st.none() | st.just(WRONG) | WORDS
    | st.sampled_from([b"b/n/7/x/a-host", b"b/n/99999999999/x/me", b"b/n/1", b"-/-/1/-/\xff"])
)  # fmt: skip
FIELDS = st.lists(st.none() | st.sampled_from([b"4", b"16", b"1", b"2"]) | WORDS,
                  min_size=6, max_size=6)  # fmt: skip


@given(st.lists(HOST, max_size=4), LEASE, FIELDS, st.none() | WORDS)
def test_whatever_redis_holds_a_host_comes_to_a_plan(hosts, lease, meta, since):
    told = Told([part for host in hosts for part in host], leases=lease, meta=meta, since=since)
    facts, member = look(told)
    assert "me" in facts.hosts
    assert 1 <= facts.shards == len(member.shards.all) <= 2 * SHARDS_MAX
    run = share(facts, "me", range(facts.shards))
    assert run <= set(range(facts.shards))


def test_a_layout_that_cannot_be_read_is_said_and_changes_nothing():
    """The agent ended with a traceback, and so did each that was started in its place."""
    told = Told([], meta=[b"8", b"3", None, None, None, None])
    member = Membership(told, told, "me", None, Settings())
    assert asyncio.run(member.look()).shards == 8
    with capture_logs() as said:
        for rubbish in (b"many", b"0", b"-1", b"99999999999", b"\xff", b"8 "):
            told._meta = [rubbish, b"3", None, None, None, None]
            assert asyncio.run(member.look()).shards == 8
    (line,) = said
    assert line["event"] == "layout.unreadable"
    assert "fleetline:meta says shards 'many'" in line["error"]


def test_streams_are_not_closed_by_a_time_that_cannot_be_read():
    meta = [b"8", b"2", None, None, b"4", b"1"]
    for since, is_closed in ((b"long ago", False), (WRONG, False), (b"1", True)):
        told = Told([], meta=meta, since=since)
        look(told)
        assert told.closed is is_closed


def test_of_too_many_hosts_those_count_that_hold_shards():
    """Only they are answered by the script, and whoever asks."""
    told = Told([b"a-host", b"", b""])
    told._hosts[0] = HOSTS_MAX + 1
    with capture_logs() as said:
        facts, _ = look(told)
    assert facts.hosts.keys() == {"me", "a-host"}
    assert [line["event"] for line in said] == ["hosts.too_many"]


def test_a_lease_of_nobody_that_never_ends_holds_up_no_shard():
    facts, _ = look(Told([], leases=b"whoever"))
    assert share(facts, "me", ()) == {0, 1, 2, 3}


@pytest.mark.parametrize("only", [None, "own", "most"])
def test_a_plan_for_as_many_as_may_be_takes_no_time_to_speak_of(only):
    """With a thousand hosts it took 1.4 s, ten times a second."""
    names = [f"forged-{n}" for n in range(HOSTS_MAX)]
    every = frozenset(range(SHARDS_MAX))
    terms = {
        None: lambda _n: HostTerms(),
        "own": lambda n: HostTerms(frozenset({n, n + 1})),
        "most": lambda n: HostTerms(every - {n}),
    }[only]
    hosts = {name: terms(n) for n, name in enumerate(names)} | {"me": HostTerms()}
    began_s = time.process_time()
    planned = plan(Sharing(hosts, dict.fromkeys(range(SHARDS_MAX), "me"), SHARDS_MAX))
    assert time.process_time() - began_s < (0.1 if only is None else 3.0)
    assert planned.keys() == every


def test_a_name_is_no_markup_and_nothing_that_a_terminal_obeys(capsys):
    name = "[red]a[/b]\x1b[2J"
    _print_table(HostsState((HostState(name, (0,), 1.0, HostTerms()),), (), more=7))
    shown = capsys.readouterr().out
    assert "[red]a[/b]" in shown
    assert "\x1b" not in shown
    assert "7 more say that they live" in shown
