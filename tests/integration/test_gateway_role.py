"""`fleetline gateway` as a process: the front door without the rest of a stack."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from common.processes.beat_file import HEARTBEAT_FILE_ENV
from deploy.container.health import Probed, ailment
from deploy.servers.checks import http_answers
from tests.servers import free_port
from tests.stack import environment, fleetline
from tests.wait import wait_until


@pytest.fixture
def told(tmp_path) -> dict[str, str]:
    """The environment that a container has."""
    return {
        "AUTH": "on",
        "GATEWAY_PORT": str(free_port()),
        "INGEST_PORT": str(free_port()),
        "FLEETLINE_HOME": str(tmp_path / "home"),
        HEARTBEAT_FILE_ENV: str(tmp_path / "beat"),
    }


@pytest.fixture
def gateway(told, tmp_path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "output").open("wb") as output:
        process = subprocess.Popen(
            (sys.executable, "-m", "deploy.cli", "gateway"),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=environment(told), cwd=tmp_path,
        )  # fmt: skip
    yield process
    if process.poll() is None:
        process.kill()
    process.wait(10)


def test_it_serves_alone_says_how_it_is_and_ends(gateway, told, tmp_path, monkeypatch):
    port = int(told["GATEWAY_PORT"])
    wait_until(lambda: http_answers("127.0.0.1", port, "/map"), timeout_s=20, what="the pages")
    monkeypatch.setenv(HEARTBEAT_FILE_ENV, told[HEARTBEAT_FILE_ENV])
    probed = Probed(gateway_port=port)
    wait_until(lambda: not ailment("gateway", probed, live=True), what="its sign of life")
    # What is behind it is asked, and is not there.
    assert not http_answers("127.0.0.1", port, "/health/live")
    # The same home again: the two would write over each other.
    second = fleetline("gateway", extra=told)
    assert second.returncode == 2
    assert "another `fleetline up`" in second.stderr
    # The door ends, its supervisor beats on and starts another.
    children = f"/proc/{gateway.pid}/task/{gateway.pid}/children"
    with open(children) as file:  # noqa: PTH123 - of the kernel
        (master,) = (int(pid) for pid in file.read().split())
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{master}"), what="its end")  # noqa: PTH110
    wait_until(lambda: ailment("gateway", probed, live=False) == "", what="another door")
    gateway.send_signal(signal.SIGTERM)
    assert gateway.wait(10) == 0, (tmp_path / "output").read_text()


def test_a_door_to_the_network_wants_those_behind_it_closed(told, tmp_path):
    done = fleetline("gateway", extra={**told, "AUTH": "off", "BIND_HOST": "0.0.0.0"})
    assert done.returncode == 2
    assert "BIND_HOST" in done.stderr
    assert "AUTH is off" in done.stderr
