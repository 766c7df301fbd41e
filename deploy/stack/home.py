"""FLEETLINE_HOME: the folder with everything that a stack on this machine keeps.

`run/` pid files, states and the lock · `log/` one file a part · `data/` what survives · the
passwords of the embedded servers. One stack at a time: the lock is a flock, so it goes with its
holder, however that dies. Nothing here is for other users of the machine: where `up` is root they
may pass through, as the unprivileged parts of the stack do, and neither list nor read.
"""

import contextlib
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from common.errors import ConfigError
from common.processes.supervision.state import ROLES_FOLDER, read_plain
from deploy.stack import folders

# Folders that lie on the way of parts that run as others than root.
PASSED_THROUGH = frozenset({"run", "data"})


class Home:
    """Paths under the home; folders are made when first asked for."""

    def __init__(self, path: Path) -> None:
        # FLEETLINE_HOME may be a link, which an operator made; links inside it are refused.
        self.path = path.resolve()
        self._lock: IO[str] | None = None

    def folder(self, name: str) -> Path:
        """A folder under the home, which exists and is ours. Raises `ConfigError`."""
        folder = self.path
        with self.writing():
            self._make()
            for depth, part in enumerate(Path(name).parts):
                passed = depth == 0 and part in PASSED_THROUGH
                folder = folders.make_folder(folder / part, _mode(passed=passed))
        return folder

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """For a block that makes something in the home: what fails is one line, `ConfigError`."""
        try:
            yield
        except OSError as e:
            name = e.filename or self.path
            raise ConfigError(f"FLEETLINE_HOME: cannot write {name}: {e.strerror}") from e

    def _make(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists() and stat.S_IMODE(self.path.stat().st_mode) & stat.S_ISVTX:
            # /tmp, for one: closing it would close it to everybody.
            raise ConfigError(f"FLEETLINE_HOME: {self.path} is everybody's; name a folder in it")
        folders.make_folder(self.path, _mode(passed=True))

    def log(self, role: str) -> Path:
        """Log file of a role."""
        return self.folder("log") / f"{role}.log"

    def pid(self, role: str) -> Path:
        """Pid file of a role."""
        return self.folder("run") / f"{role}.pid"

    def lock(self) -> None:
        """Take the home for this process. Raises `ConfigError` when another has it."""
        with self.writing():
            # Not truncated: the holder's pid in it must survive our failing.
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._lock = os.fdopen(os.open(self.folder("run") / "lock", flags, 0o600), "r+")
            # Who can open it can hold it.
            os.fchmod(self._lock.fileno(), 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            holder = self._lock.read().strip() or "unknown"
            self._lock.close()
            raise ConfigError(
                f"FLEETLINE_HOME: another `fleetline up` (pid {holder}) runs on {self.path}"
            ) from e
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def unlock(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def close_to_others(self) -> None:
        """Take from other users what an earlier version, or another umask, left them to read."""
        self.folder("log")
        for file in (*self.path.glob("*"), *self.path.glob("run/*"), *self.path.glob("log/*")):
            if file.is_file() and not file.is_symlink():
                with contextlib.suppress(OSError):
                    file.chmod(0o600)

    def last_words(self, role: str) -> str:
        """The last line of a role's log, for the one line that says why a start failed."""
        try:
            with self.log(role).open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 4096))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1][:500] if lines else ""

    def secret(self, name: str) -> str:
        """A random secret in the file `name`, made the first time. Raises `ConfigError`."""
        file = self.path / name
        with self.writing():
            self._make()
            if not file.exists():
                folders.write_file(file, f"{secrets.token_hex(32)}\n".encode())
            return folders.read_own(file).decode(errors="replace").strip()

    def note(self, facts: dict[str, str]) -> None:
        """Leave what other commands have to know of the running stack; its URLs hold secrets."""
        with self.writing():
            folders.write_file(self.folder("run") / "stack.json", json.dumps(facts).encode())

    def noted(self) -> dict[str, str]:
        """What the last start left by `note`. Raises `ConfigError`: it is another user's."""
        try:
            facts: dict[str, str] = json.loads((self.path / "run" / "stack.json").read_text())
        except PermissionError as e:
            raise ConfigError(
                f"FLEETLINE_HOME: {self.path} is another user's; ask as the one who ran `up`"
            ) from e
        except (OSError, ValueError):
            return {}
        return facts

    def show_pids(self, children: Iterable[str]) -> None:
        """Lay links to the pid files of roles' own children beside those of the roles."""
        for name in children:
            link = self.pid(name)
            link.unlink(missing_ok=True)
            link.symlink_to(Path(ROLES_FOLDER) / link.name)

    def leftovers(self) -> list[int]:
        """Pids that the pid files name: ours, and those that roles keep of their children."""
        pids = []
        run = self.folder("run")
        for file in (*run.glob("*.pid"), *(run / ROLES_FOLDER).glob("*.pid")):
            # In run/ the roles' have links, which are not followed: theirs are read where they are.
            with contextlib.suppress(OSError, ValueError):
                pids.append(int(read_plain(file)))
        return pids

    def forget_run(self) -> None:
        """Remove pid files and states: a role that was killed could not do it itself."""
        run = self.folder("run")
        for folder in (run, run / ROLES_FOLDER):
            for pattern in ("*.pid", "*.new", "state-*.json"):
                for file in folder.glob(pattern):
                    with contextlib.suppress(OSError):
                        file.unlink()


def _mode(*, passed: bool) -> int:
    return 0o711 if passed and os.geteuid() == 0 else 0o700
