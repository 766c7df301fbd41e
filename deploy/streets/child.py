"""Runs the child that makes the tiles of a map, and says in one line what became of it.

Under root it has the account of the roles, and in any case nothing of our environment: it reads
other people's files. What it leaves belongs to us before anybody is shown it.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

import msgspec

from common.errors import EXIT_CONFIG, ConfigError, FleetlineError
from common.event import MALFORMED
from common.log import printable
from common.processes.process import PARENT_PID_ENV
from deploy.servers.privileges import descent, python_paths
from deploy.stack import folders
from deploy.stack.accounts import SystemUser, account_of
from deploy.stack.environment import plain_environment
from deploy.stack.home import Home
from deploy.streets.report import MADE, TILES, MadeTiles, StreetReport

# What a child that died may have said last.
LAST_WORDS_BYTES: Final = 2_000
_ROOT: Final = SystemUser("root", 0, 0)

# Stage, and how many things or tiles are done.
OnProgress = Callable[[str, int], None]


class StreetsFailed(FleetlineError):
    """The child did not make it. The maps are as they were."""


def run_child(home: Home, file: Path, workplace: Path, on_progress: OnProgress) -> MadeTiles:
    """Make the tiles of `file` below `workplace`. Raises `ConfigError`, `StreetsFailed`."""
    account = account_of("roles")
    if account is not None:
        folders.make_folder(workplace, 0o700, account)
    argv = [sys.executable, "-m", "deploy.streets.making", str(file), str(workplace)]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**plain_environment(os.environ), PARENT_PID_ENV: str(os.getpid())},
            preexec_fn=descent(account, home.path, *python_paths(), file),  # noqa: PLW1509
        ) as child,
    ):
        try:
            made = _followed(child, on_progress)
            status = child.wait()
        except MALFORMED as e:
            child.kill()
            raise StreetsFailed("streets: its process does not say how far it is") from e
        except BaseException:
            child.kill()
            raise
        words = _last_words(errors)
    if status != 0 or made is None:
        raise _failure(status, words)
    if account is not None:
        folders.hand_over(workplace / TILES, _ROOT)
        (workplace / TILES).chmod(0o755)
    return made


def _followed(child: "subprocess.Popen[bytes]", on_progress: OnProgress) -> MadeTiles | None:
    made = None
    for line in child.stdout or ():
        report = msgspec.json.decode(line, type=StreetReport)
        if report.stage == MADE:
            made = report.made
        else:
            on_progress(report.stage, report.done)
    return made


def _failure(status: int, words: str) -> FleetlineError:
    if status == EXIT_CONFIG:
        return ConfigError(f"streets: {words}")
    if status < 0:
        name = signal.Signals(-status).name
        words = f"its process was ended by {name}: is there room on the disk, and memory?"
    return StreetsFailed(f"streets: {words}; the maps are as they were")


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - LAST_WORDS_BYTES))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return printable(lines[-1]) if lines else "its process said nothing"
