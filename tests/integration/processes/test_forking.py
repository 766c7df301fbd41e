"""Children that a fork server forks are the supervisor's own, with real processes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.processes.process import is_alive
from tests.freezing import freeze
from tests.roles.forked import DRAIN_S, NAMES, secret_of
from tests.servers.process_memory import in_memory
from tests.wait import wait_until


def pid_of(folder: Path, name: str) -> int | None:
    try:
        return int((folder / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return None


def replaced(folder: Path, name: str, before: int | None) -> bool:
    return pid_of(folder, name) not in {None, before}


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "log").open("wb") as log:
        running = subprocess.Popen(
            (sys.executable, "-m", "tests.roles.forked", str(tmp_path)), stdout=log, stderr=log
        )
    wait_until(lambda: all(pid_of(tmp_path, name) for name in NAMES), what="two workers")
    for name in NAMES:
        pid = pid_of(tmp_path, name)
        wait_until((tmp_path / f"{name}-{pid}").exists)
    yield running
    running.kill()
    running.wait()


def test_what_is_forked_is_the_supervisors_own_child(tmp_path, supervisor):
    for name in NAMES:
        pid = pid_of(tmp_path, name)
        parent, session, arguments = (tmp_path / f"{name}-{pid}").read_text().split(" ", 2)
        assert (int(parent), int(session)) == (supervisor.pid, pid)
        assert arguments == str(["tests.roles.forked", "worker", name])
        assert psutil.Process(pid).name() == name
        # Forked, so its command line is the server's.
        assert psutil.Process(pid).cmdline()[-1] == "server"


def test_each_is_told_its_own_alone(tmp_path, supervisor):
    alone = (tmp_path / "env-worker-b").read_text().split("\n")
    on_top = (tmp_path / "env-worker-a").read_text().split("\n")
    assert {"FORKED_FOLDER", "SECRET"} <= set(alone) & set(on_top)
    assert "OF_THE_SUPERVISOR" in on_top
    assert not {"OF_THE_SUPERVISOR", "PATH"} & set(alone)
    secrets = [secret_of(name).encode() for name in NAMES]
    for name in NAMES:
        # What the server had read of a request would be in all that it forks later.
        assert in_memory(pid_of(tmp_path, name), secrets) == {secret_of(name).encode()}
    assert in_memory(pid_of(tmp_path, "server"), secrets) == set()


def test_one_that_is_killed_is_forked_again(tmp_path, supervisor):
    before = pid_of(tmp_path, "worker-a")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: replaced(tmp_path, "worker-a", before))
    assert psutil.Process(pid_of(tmp_path, "worker-a")).cmdline()[-1] == "server"
    assert not is_alive(before)


def test_without_the_server_nothing_ends_and_a_worker_is_started_anew(tmp_path, supervisor):
    server, before = pid_of(tmp_path, "server"), pid_of(tmp_path, "worker-a")
    # It answers nobody, and is killed for that.
    freeze(server)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: replaced(tmp_path, "worker-a", before))
    assert psutil.Process(pid_of(tmp_path, "worker-a")).cmdline()[-1] == "worker-a"
    wait_until(lambda: replaced(tmp_path, "server", server))
    assert is_alive(pid_of(tmp_path, "worker-b"))


def test_a_child_that_is_not_wanted_stops_and_is_forgotten(tmp_path, supervisor):
    pid = pid_of(tmp_path, "worker-b")
    (tmp_path / "stop-b").touch()
    wait_until((tmp_path / "retired-worker-b").exists)
    assert not is_alive(pid)
    assert is_alive(pid_of(tmp_path, "worker-a"))


def test_all_stop_in_time_and_none_outlives_a_killed_supervisor(tmp_path, supervisor):
    pids = [pid_of(tmp_path, name) for name in (*NAMES, "server")]
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(map(is_alive, pids)), timeout_s=DRAIN_S)


def test_a_stop_signal_drains_them(tmp_path, supervisor):
    supervisor.terminate()
    assert supervisor.wait(DRAIN_S + 2) == 0
    assert not any(pid_of(tmp_path, name) for name in NAMES)
