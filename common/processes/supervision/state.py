"""What a supervisor says about its children, in a file, for `fleetline status`."""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec

from common.event import MALFORMED
from common.processes import process
from common.processes.supervision.child import Child
from common.processes.supervision.spec import State

# What the roles themselves write of a run. `up` may be root and they another user, so it is not
# the folder of `up`'s own files.
ROLES_FOLDER = "roles"
# Far above the state of the most shards that there may be.
FILE_BYTES_MAX = 1_048_576


class ChildState(msgspec.Struct, frozen=True):
    """A child as `status` shows it. `restarts`: None where nobody counts them."""

    # The dot is that of a shard of a later layout: consumer-2.7.
    role: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]+(\.[0-9]+)?$", max_length=64)]
    pid: int | None
    state: State
    restarts: int | None
    # Epoch seconds.
    since: Annotated[float, msgspec.Meta(ge=0)]


class SupervisorState(msgspec.Struct, frozen=True):
    """What one supervisor says."""

    supervisor: str
    pid: int
    # Tells `pid` from a later process that got the same number.
    started_ticks: int
    children: list[ChildState]


_decoder = msgspec.json.Decoder(SupervisorState)


def state_file(home: Path, supervisor: str) -> Path:
    """Where the supervisor of this name writes: `up` in run/, a role's own in run/roles/."""
    run = home / "run"
    return (run if supervisor == "up" else run / ROLES_FOLDER) / f"state-{supervisor}.json"


class StateFile:
    """The file of one supervisor, written when something has changed."""

    def __init__(self, path: Path | None, supervisor: str) -> None:
        self._path = path
        self._supervisor = supervisor
        self._written: object = None
        if path is not None:
            # A folder that cannot be made is reported by `write`.
            with contextlib.suppress(OSError):
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def write(self, children: Iterable[Child]) -> None:
        """Say how the children are. Raises `OSError`, once for each change."""
        facts = [(c.spec.name, c.pid, c.state, c.restarts) for c in children]
        if self._path is not None and facts != self._written:
            self._written = facts
            _write_state(self._path, self._supervisor, children)

    def remove(self) -> None:
        """Nothing runs any more."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _write_state(path: Path, supervisor: str, children: Iterable[Child]) -> None:
    """Replace the file as a whole: a reader sees one moment or another, never half of one."""
    state = SupervisorState(
        supervisor,
        os.getpid(),
        process.started_ticks(os.getpid()),
        [ChildState(c.spec.name, c.pid, c.state, c.restarts, c.since) for c in children],
    )
    partial = path.with_suffix(".new")
    partial.write_bytes(msgspec.json.encode(state))
    partial.replace(path)


def read_state(path: Path) -> SupervisorState | None:
    """The state a living supervisor wrote, None if there is none."""
    try:
        state = _decoder.decode(read_plain(path))
    except (OSError, *MALFORMED):
        return None
    if not process.is_alive(state.pid):
        return None
    return state if process.started_ticks(state.pid) == state.started_ticks else None


def read_plain(path: Path) -> bytes:
    """A file that another account may have laid there. Raises `OSError`.

    Never follows a link and never waits for the writer of a named pipe; reads FILE_BYTES_MAX at
    most.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "is no file", str(path))
        return file.read(FILE_BYTES_MAX)
