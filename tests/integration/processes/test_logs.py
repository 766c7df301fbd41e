"""Logs stay small while their writers run, and lose nothing to the death of who keeps them."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.processes.log_writer import CHUNK_BYTES, BoundedFile
from common.processes.logs import Logs
from tests.wait import wait_until

BYTES_MAX = 100_000
LINE = b"x" * 999 + b"\n"


@pytest.fixture
def logs() -> Iterator[Logs]:
    made = Logs(BYTES_MAX)
    yield made
    made.close()


def test_a_flood_is_bounded_and_its_end_is_kept(logs: Logs, tmp_path: Path) -> None:
    # What broke: 2 KB of a stranger's request in the front door's log, 6 MB/s, until a restart.
    pipe = logs.open(tmp_path / "a.log")
    for _ in range(1000):
        os.write(pipe, LINE)
    os.write(pipe, b"the end\n")
    logs.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["a.log", "a.log.1"]
    assert all(file.stat().st_size <= BYTES_MAX + 2 * CHUNK_BYTES for file in files)
    assert files[0].read_bytes().endswith(b"the end\n")
    # Put aside between two lines.
    assert {len(line) for line in files[1].read_bytes().splitlines(keepends=True)} == {1000}
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


def test_a_line_that_never_ends_is_bounded_too(tmp_path: Path) -> None:
    file = BoundedFile(str(tmp_path / "a.log"), BYTES_MAX)
    for _ in range(1000):
        file.write(b"x" * 1000)
    file.close()
    assert all(f.stat().st_size <= BYTES_MAX + CHUNK_BYTES + 1000 for f in tmp_path.iterdir())


def test_a_part_that_says_nothing_has_its_file_too(logs: Logs, tmp_path: Path) -> None:
    # What broke: there was no log/gateway.log to follow, because a door has little to say.
    logs.open(tmp_path / "a.log")
    wait_until((tmp_path / "a.log").is_file)
    logs.close()
    assert (tmp_path / "a.log").read_bytes() == b""


def test_an_earlier_run_is_added_to(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_bytes(b"before\n")
    os.write(logs.open(tmp_path / "a.log"), b"after\n")
    logs.close()
    assert (tmp_path / "a.log").read_bytes() == b"before\nafter\n"


def test_a_writer_that_was_killed_is_replaced_and_nothing_is_lost(
    logs: Logs, tmp_path: Path
) -> None:
    pipes = {name: logs.open(tmp_path / name) for name in ("a.log", "b.log")}
    before = logs.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    for name, pipe in pipes.items():
        os.write(pipe, f"{name} was said meanwhile\n".encode())

    def revived() -> bool:
        logs.revive()
        return logs.pid != before

    wait_until(revived)
    pipes["c.log"] = logs.open(tmp_path / "c.log")
    os.write(pipes["c.log"], b"later\n")
    logs.close()
    for name in ("a.log", "b.log"):
        assert (tmp_path / name).read_text() == f"{name} was said meanwhile\n"
    assert (tmp_path / "c.log").read_text() == "later\n"


def test_a_log_that_cannot_be_written_stops_nobody(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "a.log").mkdir()
    pipe = logs.open(tmp_path / "a.log")
    for _ in range(200):
        os.write(pipe, LINE)
    other = logs.open(tmp_path / "b.log")
    os.write(other, b"said\n")
    wait_until((tmp_path / "b.log").exists)


def test_a_link_is_not_written_through(logs: Logs, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "a.log").symlink_to(tmp_path / "victim")
    os.write(logs.open(tmp_path / "a.log"), LINE)
    logs.close()
    assert (tmp_path / "victim").read_text() == "untouched"
