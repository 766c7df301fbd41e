"""The supervisor with real processes and real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from common.processes import process
from common.processes.supervision.state import read_state, state_file
from common.processes.supervision.strays import PATIENCE_S
from tests.freezing import freeze
from tests.roles.supervised import CASES, DRAIN_S, SILENT_S
from tests.wait import wait_until

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the supervisor of a case and waits for its children."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(case: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "supervisor.log").open("ab") as output:
            supervisor = subprocess.Popen(
                (sys.executable, "-m", "tests.roles.supervised", str(tmp_path), case),
                stdout=output,
                stderr=output,
            )
        running.append(supervisor)
        names = [name for name, kind, _ in CASES[case] if kind != "config"]
        wait_until(lambda: all((tmp_path / f"up-{name}").exists() for name in names))
        return supervisor

    yield begin
    for supervisor in running:
        supervisor.kill()
        supervisor.wait()


def pid_of(folder: Path, name: str) -> int | None:
    try:
        return int((folder / "run" / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return None


def child_pid(folder: Path, name: str) -> int:
    pid = pid_of(folder, name)
    assert pid is not None
    return pid


def test_children_stop_in_reverse_order_and_leave_no_pid_files(
    tmp_path: Path, start: Start
) -> None:
    supervisor = start("plain")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(5) == 0
    assert (tmp_path / "stops").read_text() == "cba"
    assert list((tmp_path / "run").iterdir()) == []


def test_children_are_out_of_reach_of_the_terminal(tmp_path: Path, start: Start) -> None:
    start("plain")
    pid = child_pid(tmp_path, "a")
    assert os.getsid(pid) == pid


def test_a_killed_child_is_restarted_and_counted(tmp_path: Path, start: Start) -> None:
    start("plain")
    before = child_pid(tmp_path, "b")
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(tmp_path, "b") not in {None, before})

    def restarts() -> list[int | None]:
        state = read_state(state_file(tmp_path, "up"))
        return [child.restarts for child in state.children] if state is not None else []

    wait_until(lambda: restarts() == [0, 1, 0])


def test_a_hanging_child_writes_its_stacks_and_is_replaced(tmp_path: Path, start: Start) -> None:
    start("hangs")
    before = child_pid(tmp_path, "a")
    wait_until(lambda: pid_of(tmp_path, "a") not in {None, before}, timeout_s=SILENT_S + 5)
    log = (tmp_path / "a.log").read_text()
    assert "Fatal Python error: Aborted" in log
    assert "in child" in log


def test_a_frozen_child_cannot_write_anything_and_is_replaced_all_the_same(
    tmp_path: Path, start: Start
) -> None:
    start("beats")
    before = child_pid(tmp_path, "a")
    freeze(before)
    wait_until(lambda: pid_of(tmp_path, "a") not in {None, before}, timeout_s=SILENT_S + 6)


def test_a_child_that_beats_is_left_alone(tmp_path: Path, start: Start) -> None:
    start("beats")
    before = child_pid(tmp_path, "a")
    until = time.monotonic() + 1.5 * SILENT_S
    wait_until(lambda: time.monotonic() > until)
    assert child_pid(tmp_path, "a") == before


def test_a_child_that_loads_for_long_is_left_alone_and_then_watched(
    tmp_path: Path, start: Start
) -> None:
    start("loads")
    assert "child.silent" not in (tmp_path / "supervisor.log").read_text()
    before = child_pid(tmp_path, "a")
    freeze(before)
    wait_until(lambda: pid_of(tmp_path, "a") not in {None, before}, timeout_s=SILENT_S + 6)


def test_what_a_dead_child_left_is_gone_before_the_next_one_starts(
    tmp_path: Path, start: Start
) -> None:
    start("leaves")
    before = child_pid(tmp_path, "a")
    orphan = int((tmp_path / f"orphan-{before}").read_text())
    assert psutil.pid_exists(orphan)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: pid_of(tmp_path, "a") not in {None, before})
    assert not psutil.pid_exists(orphan)


@contextmanager
def traced(pid: int) -> Iterator[None]:
    """For the block `pid` can be killed and not be reaped, as one that waits for a dead disk."""
    with subprocess.Popen(
        (sys.executable, "-m", "tests.roles.supervised", "trace", str(pid)),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as tracer:  # fmt: skip
        assert tracer.stdin is not None
        assert tracer.stdout is not None
        try:
            if tracer.stdout.readline().strip() != "traced":
                pytest.skip("processes cannot be traced here")
            yield
        finally:
            tracer.stdin.close()


def test_what_cannot_be_reaped_holds_nobody_up_for_ever(tmp_path: Path, start: Start) -> None:
    # What broke: the supervisor waited for a stray, and kept, beat to and stopped nobody else.
    supervisor = start("leaves")
    before = child_pid(tmp_path, "a")
    with traced(int((tmp_path / f"orphan-{before}").read_text())):
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: pid_of(tmp_path, "a") not in {None, before}, timeout_s=PATIENCE_S + 3)
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(DRAIN_S + PATIENCE_S + 3) == 0


def test_a_child_that_cannot_be_reaped_does_not_stop_the_stop(tmp_path: Path, start: Start) -> None:
    supervisor = start("plain")
    with traced(child_pid(tmp_path, "b")):
        supervisor.send_signal(signal.SIGTERM)
        assert supervisor.wait(DRAIN_S + PATIENCE_S + 3) == 0
        # It had the whole of the common deadline, so the one behind it had hardly any.
        assert (tmp_path / "stops").read_text() in {"c", "ca"}


def test_one_deadline_for_all_then_sigkill(tmp_path: Path, start: Start) -> None:
    supervisor = start("deaf")
    deaf = child_pid(tmp_path, "b")
    began = time.monotonic()
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(DRAIN_S + 3) == 0
    took_s = time.monotonic() - began
    assert DRAIN_S * 0.9 < took_s < DRAIN_S + 1
    assert not psutil.pid_exists(deaf)
    assert "b: is still stopping, for " in (tmp_path / "supervisor.log").read_text()


def test_a_second_signal_kills_at_once(start: Start) -> None:
    supervisor = start("deaf")
    began = time.monotonic()
    supervisor.send_signal(signal.SIGINT)
    # Two of the same that are both pending are one: the first must have been taken.
    wait_until(lambda: time.monotonic() - began > 0.3)
    supervisor.send_signal(signal.SIGTERM)
    supervisor.wait(5)
    assert time.monotonic() - began < DRAIN_S


def test_a_config_error_of_one_stops_all_with_its_status(tmp_path: Path, start: Start) -> None:
    supervisor = start("config")
    assert supervisor.wait(5) == 2
    assert (tmp_path / "stops").read_text() == "a"


def test_a_config_error_that_comes_with_a_restart_stops_all_too(
    tmp_path: Path, start: Start
) -> None:
    # What broke: it was tried again for ever, each time with the same line.
    supervisor = start("misled")
    os.kill(child_pid(tmp_path, "a"), signal.SIGKILL)
    assert supervisor.wait(5) == 2
    assert (tmp_path / "stops").read_text() == "b"


def test_children_die_with_a_killed_supervisor(tmp_path: Path, start: Start) -> None:
    supervisor = start("plain")
    pids = [child_pid(tmp_path, name) for name in "abc"]
    supervisor.kill()
    supervisor.wait()
    wait_until(lambda: not any(map(process.is_alive, pids)), timeout_s=3)
    # What they said then is in their logs all the same.
    for name in "abc":
        wait_until(partial(_says, tmp_path / f"{name}.log", "stops"), timeout_s=3)


def _says(log: Path, text: str) -> bool:
    return text in log.read_text()


def told(folder: Path) -> list[str]:
    return (folder / "told").read_text().splitlines()


def test_what_a_child_said_before_it_died_is_handed_on_before_its_end(
    start: Start, tmp_path: Path
) -> None:
    start("reports")
    wait_until((tmp_path / "said").exists)
    pid = child_pid(tmp_path, "a")
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "a ended" in told(tmp_path))
    lines = told(tmp_path)
    ended = lines.index("a ended")
    said = [line for line in lines[:ended] if line.startswith(f"a {pid} says ")]
    # What it wrote down it had reported; what is heard of another comes after its beginning.
    assert [int(line.rpartition(" ")[2]) for line in said] == list(range(len(said)))
    wait_until(lambda: told(tmp_path).count("a began") == 2)
    assert not any(line.startswith(f"a {pid} ") for line in told(tmp_path)[ended:])


def test_the_last_words_of_a_child_that_stops_are_heard(start: Start, tmp_path: Path) -> None:
    supervisor = start("reports")
    supervisor.send_signal(signal.SIGTERM)
    assert supervisor.wait(10) == 0
    assert told(tmp_path)[-2:] == ["a last words", "a ended"]


def test_a_report_is_no_beat(start: Start, tmp_path: Path) -> None:
    """A child that reports and makes no progress is replaced."""
    start("talks")
    pid = child_pid(tmp_path, "a")
    wait_until(lambda: pid_of(tmp_path, "a") not in {None, pid}, timeout_s=SILENT_S + 10)
