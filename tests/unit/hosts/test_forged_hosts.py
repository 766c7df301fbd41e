"""What somebody else has written down as a host ends no agent and no command."""

import asyncio
from typing import Any

import pytest

from common.settings import Settings
from consumers.sharing.host import read_terms
from consumers.sharing.membership import Membership
from consumers.sharing.share import HostTerms
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


class Told:
    """A server that says what a test wants of hosts, and that nobody holds a shard."""

    is_cluster = False

    def __init__(self, hosts: list[bytes]) -> None:
        self._hosts = hosts

    def wire(self, _shard: object) -> "Told":
        return self

    key_wire = wire

    async def send(self, *command: object) -> list[bytes] | list[None]:
        return self._hosts if command[0] == "EVAL" else [None] * (len(command) - 2)

    async def pipeline(self, commands: list[Any]) -> list[None]:
        return [None] * len(commands)


@pytest.mark.parametrize("said", RUBBISH)
def test_a_host_that_says_rubbish_may_run_everything(said):
    assert read_terms(said, drained=True) == (HostTerms(drained=True), None)


def test_names_that_are_no_text_are_hosts_all_the_same():
    names = [b"\xff\xfe", b"a\nb", b"\x1b[2J", b"", b"x" * 100_000]
    told: Any = Told([part for name in names for part in (name, b"[", b"", b"0")])
    facts = asyncio.run(Membership(told, told, "me", None, Settings()).look())
    assert facts.hosts["me"] == HostTerms()
    assert len(facts.hosts) == 1 + len(names)


def test_a_name_is_no_markup_and_nothing_that_a_terminal_obeys(capsys):
    name = "[red]a[/b]\x1b[2J"
    _print_table(HostsState((HostState(name, (0,), 1.0, HostTerms()),), ()))
    shown = capsys.readouterr().out
    assert "[red]a[/b]" in shown
    assert "\x1b" not in shown
