"""FLEETLINE_HOME: the folder with everything that a stack on this machine keeps.

`run/` pid files, states and the lock · `log/` one file a role · `data/` what survives. One stack
at a time: the lock is a flock, so it goes with its holder, however that dies.
"""

import fcntl
import json
import os
from pathlib import Path
from typing import IO

from common.errors import ConfigError

# A log of this size is put aside at the next start; one older generation is kept.
LOG_BYTES_MAX = 20 * 1_048_576


class Home:
    """Paths under the home; folders are made when first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None

    def folder(self, name: str) -> Path:
        """A folder under the home, which exists. Raises `ConfigError`."""
        folder = self.path / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise self._unwritable(e) from e
        return folder

    def log(self, role: str) -> Path:
        """Log file of a role."""
        return self.folder("log") / f"{role}.log"

    def pid(self, role: str) -> Path:
        """Pid file of a role."""
        return self.folder("run") / f"{role}.pid"

    def lock(self) -> None:
        """Take the home for this process. Raises `ConfigError` when another has it."""
        try:
            # Append: the holder's pid in it must survive our failing.
            self._lock = (self.folder("run") / "lock").open("a+")
        except OSError as e:
            raise self._unwritable(e) from e
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._lock.seek(0)
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

    def rotate_logs(self) -> None:
        """Put aside logs that grew too large; only while nothing writes them."""
        for log in self.folder("log").glob("*.log"):
            if log.stat().st_size > LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))

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

    def note(self, facts: dict[str, str]) -> None:
        """Leave what other commands have to know of the running stack; a URL may hold a secret."""
        file = self.folder("run") / "stack.json"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(facts, out)

    def noted(self) -> dict[str, str]:
        """What the last start left by `note`."""
        try:
            facts: dict[str, str] = json.loads((self.path / "run" / "stack.json").read_text())
        except (OSError, ValueError):
            return {}
        return facts

    def leftovers(self) -> list[int]:
        """Pids that the pid files name."""
        pids = []
        for file in self.folder("run").glob("*.pid"):
            text = file.read_text().strip()
            if text.isdigit():
                pids.append(int(text))
        return pids

    def _unwritable(self, error: OSError) -> ConfigError:
        return ConfigError(f"FLEETLINE_HOME: cannot write {self.path}: {error.strerror}")
