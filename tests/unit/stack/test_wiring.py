"""Which port is whose, and what each child is told."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from deploy.servers.redis import redis_spec
from deploy.stack.home import Home
from deploy.stack.wiring import (
    PORT_MAX,
    database_url,
    fitting_sockets,
    ports_needed,
    redis_url,
    up_settings,
)
from deploy.tools.traffic.commands import stack_url

ROLES = ("consumers", "fanout", "ingest")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("REDIS_URL", "DATABASE_URL", "SHARDS", "FANOUT_CONNECTIONS_MAX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_ports_without_options() -> None:
    needed = ports_needed(up_settings(None, None, None), ROLES, gateway=True)
    assert [port for _, _, port in needed] == [
        *(6381, 5434, 8002, 8010, 8011),
        *(8022, 8021, 8020),
    ]


def test_port_moves_all_ports() -> None:
    settings = up_settings(9000, None, None)
    needed = ports_needed(settings, ROLES, gateway=True)
    assert [port for _, _, port in needed] == [
        *(9010, 9011, 9000, 9008, 9009),
        *(9022, 9021, 9020),
    ]
    assert redis_url(settings) == "redis://127.0.0.1:9010/0"
    assert redis_url(settings, "secret") == "redis://:secret@127.0.0.1:9010/0"
    assert database_url(settings, "secret").startswith("postgresql://fleetline:secret@127.0.0.1")
    assert database_url(settings).endswith("127.0.0.1:9011/fleetline")


@pytest.mark.parametrize("port", [0, -1, PORT_MAX + 1, 65_535])
def test_a_port_that_leaves_no_room_for_the_others_is_refused(port: int) -> None:
    with pytest.raises(ConfigError, match="--port"):
        up_settings(port, None, None)


def test_given_servers_are_used_and_need_no_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://elsewhere:7000/1")
    settings = up_settings(9000, None, None)
    assert redis_url(settings) == "redis://elsewhere:7000/1"
    assert "REDIS_PORT" not in [name for name, _, _ in ports_needed(settings, ROLES, gateway=True)]


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHARDS", "3")
    assert up_settings(None, None, 7).shards == 7
    assert up_settings(None, None, None).shards == 3


def test_sockets_fit_the_machine_unless_somebody_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitting_sockets(up_settings(None, None, None), 1_000_000) is None
    assert fitting_sockets(up_settings(None, None, None), 4096) == 3584
    monkeypatch.setenv("FANOUT_CONNECTIONS_MAX", "20000")
    assert fitting_sockets(up_settings(None, None, None), 4096) is None


def test_nobody_else_reads_the_positions_in_redis(tmp_path):
    redis_spec(Home(tmp_path), 1, "secret")
    assert (tmp_path / "data/redis").stat().st_mode & 0o777 == 0o700


def test_passwords_are_no_arguments(tmp_path):
    spec = redis_spec(Home(tmp_path), 1, "the-password")
    assert "the-password" not in " ".join((*spec.argv, *spec.env.values()))
    config = tmp_path / "data/redis.conf"
    assert "requirepass the-password" in config.read_text()
    assert config.stat().st_mode & 0o7 == 0


def test_the_server_runs_with_the_quicker_allocator(tmp_path):
    (library,) = redis_spec(Home(tmp_path), 1, "secret").env["LD_PRELOAD"].split(":")
    assert Path(library).name == "libmimalloc.so"


def test_senders_find_the_stack_of_this_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLEETLINE_HOME", str(tmp_path))
    monkeypatch.setenv("GATEWAY_PORT", "8123")
    assert stack_url() == "http://127.0.0.1:8123"
    Home(tmp_path).note({"url": "http://127.0.0.1:9000"})
    assert stack_url() == "http://127.0.0.1:9000"
