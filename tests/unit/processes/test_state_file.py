"""States and pid files that the roles' account writes, and `up` and `status` of root's read.

What broke: a named pipe in place of one made them wait for ever, a list in place of an object or
a field less was a traceback, a role's name could bring escapes to the terminal, and after a
change of the number of shards the state of the consumers, whose names have a dot then, was none.
"""

import json
import os
from pathlib import Path

import pytest

from common.keys import FIRST_EPOCH
from common.processes import process
from common.processes.supervision.spec import State
from common.processes.supervision.state import (
    ROLES_FOLDER,
    ChildState,
    read_plain,
    read_state,
    state_file,
)
from common.shards import shard_name
from deploy.stack.home import Home

CHILD = {"role": "consumer-0", "pid": 7, "state": "running", "restarts": 0, "since": 1.5}


def said(**more: object) -> dict[str, object]:
    """What this process would say as a supervisor."""
    ticks = process.started_ticks(os.getpid())
    fields = {"supervisor": "consumers", "pid": os.getpid(), "started_ticks": ticks}
    return {**fields, "children": [CHILD], **more}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = state_file(tmp_path, "consumers")
    found.parent.mkdir(parents=True)
    return found


@pytest.mark.parametrize("epoch", [FIRST_EPOCH, FIRST_EPOCH + 1, 4_000_000_000])
def test_a_state_is_read_back(path: Path, epoch: int) -> None:
    role = f"consumer-{shard_name(1023, epoch)}"
    path.write_text(json.dumps(said(children=[CHILD | {"role": role}])))
    state = read_state(path)
    assert state is not None
    assert state.children == [ChildState(role, 7, State.RUNNING, 0, 1.5)]


@pytest.mark.parametrize(
    "content",
    [
        [],
        None,
        said(pid="1"),
        said(pid=-5),
        said(started_ticks=0),
        said(children=5),
        said(children=[5]),
        said(children=[{"role": "consumer-0", "pid": 7}]),
        said(children=[CHILD | {"state": "dancing"}]),
        said(children=[CHILD | {"role": "\x1b[31mred"}]),
        said(children=[CHILD | {"role": "[red]"}]),
        said(children=[CHILD | {"role": "../consumer-0"}]),
        said(children=[CHILD | {"role": "c" * 65}]),
        said(children=[CHILD | {"pid": "/1"}]),
        said(children=[CHILD | {"since": -1e300}]),
    ],
)
def test_what_is_no_state_is_none(path: Path, content: object) -> None:
    path.write_text(json.dumps(content))
    assert read_state(path) is None


def test_bytes_that_are_no_json_are_no_state(path: Path) -> None:
    path.write_bytes(b"\xff{")
    assert read_state(path) is None


def lay_pipe(path: Path, _target: Path) -> None:
    os.mkfifo(path)


def lay_link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def lay_folder(path: Path, _target: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("lay", [lay_pipe, lay_link, lay_folder])
def test_only_a_file_is_read_and_at_once(path: Path, tmp_path: Path, lay) -> None:
    target = tmp_path / "other"
    target.write_text(json.dumps(said()))
    lay(path, target)
    assert read_state(path) is None
    with pytest.raises(OSError, match=r"\[Errno"):
        read_plain(path)


@pytest.mark.parametrize("lay", [lay_pipe, lay_link, lay_folder])
def test_pids_that_were_left_are_those_in_files(tmp_path: Path, lay) -> None:
    home = Home(tmp_path / "home")
    roles = home.folder("run") / ROLES_FOLDER
    roles.mkdir()
    target = tmp_path / "other"
    target.write_text("9\n")
    home.show_pids(["consumer-0", "consumer-1", "consumer-2"])
    home.pid("ingest").write_text("5\n")
    (roles / "consumer-0.pid").write_text("6\n")
    lay(roles / "consumer-1.pid", target)
    (roles / "consumer-2.pid").write_text("²")
    assert sorted(home.leftovers()) == [5, 6]
