"""A front door on another machine: what it is told, and who believes it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import falcon.asgi
import pytest
from falcon import testing

from common.access.address import AddressLimiter, FrontDoors
from common.errors import ConfigError, Refused
from common.settings import Settings, load_settings
from deploy.container.front_door import door_settings
from deploy.gateway.render import render
from deploy.servers.gateway import name_servers
from fanout.door.connection import CONNECTIONS_PER_ADDRESS_MAX, Connections
from fanout.sockets.counts import FanoutCounts
from ingest.http.access import Access
from tests.unit.stack.test_front_door import DOOR

DOORS = FrontDoors(("10.1.0.0/16",))


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


def refused(peer: str, real_ip: str, access: Access) -> int:
    """The status of a refusal, by ingest, of a request that `peer` passes on."""
    scope = testing.create_scope(headers={"X-Real-IP": real_ip}) | {"client": (peer, 1)}

    async def nothing() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = falcon.asgi.Request(scope, nothing)
    return access.refusal(request, Refused(401, "who are you?")).status


def test_ingest_counts_refusals_by_customer_and_not_by_door() -> None:
    # What would break: one customer's bad tokens locked out everybody behind the same door.
    access = Access(None, AddressLimiter(2), DOORS)
    one, other = "203.0.113.1", "203.0.113.2"
    assert [refused("10.1.2.3", one, access) for _ in range(3)] == [401, 401, 429]
    assert refused("10.1.2.3", other, access) == 401
    # A stranger who comes past the door names nobody.
    assert [refused("198.51.100.1", other, access) for _ in range(3)] == [401, 401, 429]


class Connecting:
    """As much of a connection as is counted."""

    def __init__(self, peer: str) -> None:
        self.peer = peer


def test_the_fan_out_takes_any_number_of_connections_of_a_door() -> None:
    def decide(*_: object) -> Any:
        raise AssertionError

    connections = Connections(
        decide, FanoutCounts(), doors=DOORS, timeout_s=5, message_bytes_max=1024
    )
    for peer, most in (("10.1.2.3", 1000), ("10.2.0.1", CONNECTIONS_PER_ADDRESS_MAX)):
        some: Any = [Connecting(peer) for _ in range(1000)]
        assert sum(connections.add(one) for one in some) == most
        for one in some:
            connections.remove(one)
    assert not connections.open
    assert not connections.by_peer


def test_hosts_behind_the_door_are_looked_up_again_while_it_runs() -> None:
    text = render(DOOR)
    assert "resolve" not in text
    assert "server 127.0.0.1:2 max_fails=0;" in text
    resolvers = ("10.96.0.10", "[fd00::a]")
    named = replace(DOOR, ingest="ingest.fleet.svc:8010", resolvers=resolvers)
    text = render(named)
    assert "resolver 10.96.0.10 [fd00::a] valid=5s;" in text
    assert "zone ingest 64k;" in text
    assert "server ingest.fleet.svc:8010 resolve max_fails=0;" in text
    assert "server 127.0.0.1:3 max_fails=0;" in text


def test_name_servers_are_those_of_the_machine(tmp_path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text(
        "search a.svc\nnameserver 10.96.0.10\nnameserver fe80::1%eth0\nnameserver ::1\n"
    )
    assert name_servers(file) == ("10.96.0.10", "[::1]")
    file.write_text("search a.svc\n")
    with pytest.raises(ConfigError, match="names no name server"):
        name_servers(file)
    with pytest.raises(ConfigError, match="cannot read the name servers"):
        name_servers(tmp_path / "nowhere")


@pytest.mark.parametrize("host", ["a b", "ingest;", "ingest{", "a,b", "http://ingest"])
def test_a_host_behind_the_door_is_one_plain_host(bare_environment, host) -> None:
    with pytest.raises(ConfigError, match="INGEST_HOST"):
        load_settings(ingest_host=host)


def test_the_door_needs_no_secret_but_says_that_there_is_one(bare_environment, monkeypatch) -> None:
    monkeypatch.setenv("BIND_HOST", "0.0.0.0")
    with pytest.raises(ConfigError, match="AUTH is off"):
        door_settings()
    monkeypatch.setenv("AUTH", "on")
    assert door_settings().auth_secret != door_settings().auth_secret
    monkeypatch.setenv("AUTH_SECRET", "s" * 32)
    assert door_settings().auth_secret == "s" * 32
