"""Start, stop, start again, and what must not be left behind."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common.processes.supervision.state import ROLES_FOLDER
from tests.access import AUTH
from tests.freezing import freeze
from tests.stack import (
    LEAVE_TIMEOUT_S,
    LIVE,
    STOP_TIMEOUT_S,
    Stack,
    environment,
    fleetline,
    free_base,
    new_home,
)
from tests.system.test_up import count_rows, goes_all_the_way
from tests.wait import wait_until

# "A few seconds": what the kernel's signal starts must be done by then.
JSON = {"Content-Type": "application/json"}
ORPHANS_S = 8.0


@pytest.fixture
def home() -> Iterator[Path]:
    with new_home() as path:
        yield path


def gone(family: list[psutil.Process]) -> bool:
    return not any(
        process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family
    )


def test_stop_start_kill_start_and_a_stop_with_a_role_that_hangs(home: Path) -> None:
    stack = Stack(home, *LIVE)
    with stack:
        goes_all_the_way(stack)
        wait_until(lambda: count_rows(stack) == 1)
        family, began_s = stack.family(), time.monotonic()
        assert stack.stop(timeout_s=LEAVE_TIMEOUT_S) == 0
        orderly_s = time.monotonic() - began_s
        assert gone(family)
        assert "stopped" in stack.said()

        # Everything is still there, after an orderly stop…
        stack.start()
        assert count_rows(stack) == 1
        goes_all_the_way(stack)
        wait_until(lambda: count_rows(stack) == 2)
        family = stack.family()
        stack.kill()
        wait_until(lambda: gone(family), timeout_s=ORPHANS_S, what="no orphans")

    # …and after none, with all its stale files; a pid that lives may stand in them.
    (home / "run" / "redis.pid").write_text(f"{os.getpid()}\n")
    with Stack(home, "--demo", "5") as stack:
        assert count_rows(stack, "driver_id LIKE 'way-%'") == 2
        wait_until(lambda: count_rows(stack, "driver_id = 'demo-0001'") > 0, what="the demo")
        # A role that hangs holds up the stop by its deadline at the most.
        freeze(stack.pid("ingest"))
        family, began_s = stack.family(), time.monotonic()
        assert stack.stop(signal.SIGTERM, timeout_s=LEAVE_TIMEOUT_S) == 0
        assert time.monotonic() - began_s < orderly_s + STOP_TIMEOUT_S
        assert gone(family)


@pytest.fixture(scope="module")
def bare() -> Iterator[Stack]:
    """The servers alone, running."""
    with new_home() as path, Stack(path, "--roles", "") as stack:
        yield stack


def test_what_is_down_behind_the_door_is_a_problem_with_a_time_to_retry(bare: Stack) -> None:
    # A body was measured again on the way to the words for it: large ones were 413, and a
    # driver does not send again what is too large.
    large = b"[" + b" " * 500_000 + b"]"
    for path, body in (
        ("/health", None),
        ("/api/v1/drivers/orders/x/driver-location", None),
        ("/api/v1/fleet/live", None),
        ("/api/v1/drivers/locations", large),
        ("/api/v1/geofences/import", large),
        ("/owntracks", large),
    ):
        with urllib.request.urlopen(f"{bare.url}/health/gateway", timeout=5) as answer:
            assert answer.status == 200
        request = urllib.request.Request(bare.url + path, body, JSON)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        with caught.value as error:
            assert error.code == 503
            assert error.headers["Retry-After"] == "1"
            assert error.headers["Content-Type"] == "application/problem+json"
            assert json.load(error)["status"] == 503


def test_up_again_at_once_after_a_kill(bare: Stack) -> None:
    bare.kill()
    bare.start()


def test_a_leftover_postmaster_pid_of_a_living_process_does_not_hinder(bare: Stack) -> None:
    bare.stop()
    data = bare.home / "data" / "postgres"
    # In containers pids come again soon: the number may now be anybody's.
    stale = f"{os.getpid()}\n{data}\n1\n5432\n\n127.0.0.1\n  1 1\nready\n"
    (data / "postmaster.pid").write_text(stale)
    bare.start()


def test_wrong_settings_are_one_line(home: Path) -> None:
    for options, extra, word in (
        ((), {"SHARDS": "many"}, "SHARDS"),
        (("--port", "99999"), {}, "--port"),
        ((), {"BIND_HOST": "203.0.113.1"}, "AUTH=on"),
        ((), {"BIND_HOST": "203.0.113.1", **AUTH}, "GATEWAY_PORT"),
    ):
        port = () if options else ("--port", str(free_base()))
        result = fleetline("up", "--home", str(home), *port, *options, extra=extra)
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert word in line
        assert "Traceback" not in result.stderr


def test_an_unwritable_home_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "home" / "data").mkdir(parents=True)
    (tmp_path / "home" / "data" / "redis").write_text("")
    for home in (file / "home", tmp_path / "home"):
        result = fleetline("up", "--home", str(home), "--port", str(free_base()))
        assert result.returncode == 2
        (line,) = result.stderr.splitlines()
        assert "FLEETLINE_HOME" in line


def test_servers_that_do_not_answer_are_one_line(home: Path) -> None:
    port = str(free_base())
    result = fleetline(
        "up",
        "--home",
        str(home),
        "--port",
        port,
        "--roles",
        "",
        extra={"REDIS_URL": "redis://127.0.0.1:1/0"},
    )
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "REDIS_URL" in line
    assert list((home / "run").glob("*.pid")) == []


def test_nothing_runs(home: Path) -> None:
    result = fleetline("status", "--home", str(home))
    assert result.returncode == 1
    assert "nothing runs" in result.stdout


def test_a_second_signal_does_not_wait_and_leaves_nothing(home: Path) -> None:
    # The supervisor of the consumers was killed, and left the files of its children behind.
    stack = Stack(home, "--roles", "consumers")
    with stack:
        family = stack.family()
        family[0].send_signal(signal.SIGINT)
        assert stack.stop(signal.SIGINT) == 0
        assert gone(family)
        left = {file.name for file in (home / "run").rglob("*")}
        assert left <= {"lock", "stack.json", ROLES_FOLDER}


def test_a_port_that_is_roots_alone_is_refused_before_any_work(home: Path) -> None:
    # The front door never runs as root: it failed only when the database had been made.
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first <= 1:
        pytest.skip("here every port is everybody's")
    result = fleetline("up", "--home", str(home), "--port", str(min(first - 1, 80)))
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert "_PORT: port" in line
    assert "--port P" in line
    assert "database" not in result.stdout
    assert not (home / "data").exists()


def test_ctrl_c_while_starting(home: Path) -> None:
    home.parent.mkdir(exist_ok=True)
    process = subprocess.Popen(
        (sys.executable, "-m", "deploy.cli", "up", "--home", str(home), "--port", str(free_base())),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    wait_until((home / "run" / "redis.pid").exists, timeout_s=20)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    process.send_signal(signal.SIGINT)
    process.wait(timeout=10)
    assert gone(family)
