"""What a supervisor says about its children, in a file, for `fleetline status`."""

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from common.processes import process
from common.processes.child import Child

# What the roles themselves write of a run. `up` may be root and they another user, so it is not
# the folder of `up`'s own files.
ROLES_FOLDER = "roles"


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
    state = {
        "supervisor": supervisor,
        "pid": os.getpid(),
        # Tells our pid from a later process that got the same number.
        "started_ticks": process.started_ticks(os.getpid()),
        "children": [
            {
                "role": child.spec.name,
                "pid": child.pid,
                "state": child.state.value,
                "restarts": child.restarts,
                "since": child.since,
            }
            for child in children
        ],
    }
    partial = path.with_suffix(".new")
    partial.write_text(json.dumps(state))
    partial.replace(path)


def read_state(path: Path) -> dict[str, object] | None:
    """The state a living supervisor wrote, None if there is none."""
    try:
        state: dict[str, object] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    pid = state.get("pid")
    if not isinstance(pid, int) or not process.is_alive(pid):
        return None
    return state if process.started_ticks(pid) == state.get("started_ticks") else None
