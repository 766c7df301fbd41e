"""`fleetline health`: what a container's health check sees."""

import json
import os
import socket
import threading
from dataclasses import fields

import pytest

from common.processes import process
from common.processes.beat_file import HEARTBEAT_FILE_ENV, beat_age_s
from common.processes.heartbeat import Heartbeat
from common.processes.supervision.state import state_file
from common.settings import Settings
from deploy.container.health import BEATING, CHECKS, Probed, ailment, main, read_probed, role_of


@pytest.mark.parametrize(
    ("command_line", "role"),
    [
        ("/opt/fleetline/bin/python /opt/fleetline/bin/fleetline ingest ", "ingest"),
        ("/opt/fleetline/bin/fleetline consumers --only 0-7", "consumers"),
        ("/sbin/docker-init -- fleetline fanout", "fanout"),
        ("/bin/bash", ""),
        ("fleetline", ""),
        ("", ""),
    ],
)
def test_the_role_of_a_container_is_what_it_was_started_as(command_line, role) -> None:
    assert role_of(command_line) == role


def test_what_it_knows_of_the_settings_is_what_they_say(monkeypatch) -> None:
    # It reads the environment itself, since `Settings` costs more than all else that it does.
    for field in fields(Probed):
        default = Settings.model_fields[field.name].default
        assert field.default == getattr(Probed(), field.name)
        assert str(field.default) == str(default)
    told = read_probed({"INGEST_PORT": "9008", "BIND_HOST": "", "HEARTBEAT_TIMEOUT_S": "20"})
    assert (told.ingest_port, told.bind_host, told.heartbeat_timeout_s) == (9008, "127.0.0.1", 20)
    monkeypatch.setenv("INGEST_PORT", "many")
    assert main(["ingest"]) == 1


def test_a_beating_role_is_well_while_it_beats(monkeypatch, tmp_path) -> None:
    file = tmp_path / "beat"
    monkeypatch.setenv(HEARTBEAT_FILE_ENV, str(file))
    assert "no sign of life" in ailment("insight", Probed(), live=True)
    heartbeat = Heartbeat.from_env()
    assert HEARTBEAT_FILE_ENV not in os.environ, "our own children do not beat for us"
    monkeypatch.setenv(HEARTBEAT_FILE_ENV, str(file))
    heartbeat.beat()
    assert ailment("insight", Probed(), live=True) == ""
    age_s = beat_age_s()
    assert age_s is not None
    os.utime(file, times=(0, 0))
    assert "no sign of life" in ailment("insight", Probed(), live=False)


def test_a_beat_that_cannot_be_written_ends_nothing(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(HEARTBEAT_FILE_ENV, str(tmp_path / "nowhere" / "beat"))
    Heartbeat.from_env().beat()


def test_consumers_are_well_when_all_of_them_run(tmp_path) -> None:
    probed = Probed(fleetline_home=str(tmp_path))
    assert "no supervisor" in ailment("consumers", probed, live=True)
    file = state_file(tmp_path, "consumers")
    file.parent.mkdir(parents=True)
    child = {"role": "consumer-0", "pid": 1, "state": "running", "restarts": 0, "since": 0}
    state = {
        "supervisor": "consumers",
        "pid": os.getpid(),
        "started_ticks": process.started_ticks(os.getpid()),
        "children": [child, {**child, "role": "consumer-1", "state": "backoff"}],
    }
    file.write_text(json.dumps(state))
    # A child that is started again anyway is no reason to start all of them again.
    assert ailment("consumers", probed, live=True) == ""
    assert ailment("consumers", probed, live=False) == "consumer-1: not running"


def test_a_server_is_asked_on_its_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        probed = Probed(bind_host="0.0.0.0", ingest_port=listener.getsockname()[1])

        def answer() -> None:
            for status in (b"200 OK", b"503 Service Unavailable"):
                connection, _ = listener.accept()
                with connection:
                    assert connection.recv(4096).startswith(b"GET /health/live ")
                    connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\n{}")

        thread = threading.Thread(target=answer)
        thread.start()
        assert ailment("ingest", probed, live=False) == ""
        assert "does not answer with 200" in ailment("ingest", probed, live=False)
        thread.join()


def test_what_is_no_role_is_not_well(capsys) -> None:
    assert main(["nothing"]) == 1
    assert "no such role" in capsys.readouterr().out
    assert CHECKS.keys() > BEATING
