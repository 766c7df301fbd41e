"""Builds the map of an extract and puts it in place, or changes nothing.

A child makes the tiles in a folder that nobody is shown. Only when all are there and on the disk
does the folder get its name, and then the index names it: whoever asks sees the old map or the new
one, whole. What a build leaves that was killed is removed by the next.
"""

import contextlib
import fcntl
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import msgspec

from common.errors import EXIT_CONFIG, ConfigError, FleetlineError
from common.processes.process import PARENT_PID_ENV
from deploy.stack.home import Home
from deploy.stack.streets import (
    FOLDER_MODE,
    StreetIndex,
    StreetMap,
    read_index,
    streets_folder,
    write_index,
)
from deploy.tools.streets import extra
from deploy.tools.streets.kinds import ZOOM_MAX, ZOOM_MIN
from deploy.tools.streets.report import MADE, MadeTiles, StreetReport

# What the child that died may have said last.
LAST_WORDS_BYTES: Final = 2_000
# Folders of builds that are under way, or were killed.
UNFINISHED: Final = "building-"
LOCK: Final = "lock"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")

OnProgress = Callable[[str, int], None]


class StreetsFailed(FleetlineError):
    """The child did not make it. The maps are as they were."""


def name_of(file: Path) -> str:
    """The name of a map when none is given: that of the extract, as an address may have it."""
    stem = file.name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]+", "-", stem).strip("-_")[:40] or "map"


def build_streets(
    home: Home, file: Path, name: str | None = None, on_progress: OnProgress = lambda *_: None
) -> tuple[StreetMap, dict[str, int]]:
    """Build the map of an extract; it replaces the one of its name. Pages show it at once.

    `on_progress` hears of each stage ("reading", "writing") and how many things or tiles are done.
    Returns the map, and how many pieces were left out by reason. Raises `ConfigError`: the file or
    the name; `StreetsFailed`: the disk, or the child was killed.
    """
    extra.require()
    path = file.resolve()
    if not path.is_file():
        raise ConfigError(f"{file}: there is no such file")
    chosen = name or name_of(file)
    if not NAME.fullmatch(chosen):
        raise ConfigError(f"{chosen}: a map's name is 1 to 40 of a-z 0-9 _ -, no mark first")
    folder = streets_folder(home)
    with _locked(folder), _workplace(folder) as workplace:
        made = _child(path, workplace, on_progress)
        return _put_in_place(folder, workplace, chosen, made), made.left_out


def remove_streets(home: Home, name: str) -> bool:
    """Remove a map; whether there was one. Raises `ConfigError`: another build is under way."""
    folder = streets_folder(home)
    with _locked(folder):
        index = read_index(folder)
        kept = tuple(one for one in index.maps if one.name != name)
        write_index(folder, StreetIndex(kept))
        _sweep(folder, kept)
        return len(kept) < len(index.maps)


def _put_in_place(folder: Path, workplace: Path, name: str, made: MadeTiles) -> StreetMap:
    build = f"{name}-{secrets.token_hex(4)}"
    street_map = StreetMap(
        name=name,
        build=build,
        zoom_min=ZOOM_MIN,
        zoom_max=ZOOM_MAX,
        west=made.west,
        south=made.south,
        east=made.east,
        north=made.north,
        tiles=made.tiles,
        size_bytes=made.size_bytes,
        built_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    try:
        # The index must not reach the disk before what it names.
        os.sync()
        (workplace / "tiles").rename(folder / build)
        (folder / build).chmod(FOLDER_MODE)
        others = tuple(one for one in read_index(folder).maps if one.name != name)
        maps = tuple(sorted((*others, street_map), key=lambda one: one.name))
        write_index(folder, StreetIndex(maps))
    except OSError as e:
        raise StreetsFailed(f"streets: cannot write {e.filename or folder}: {e.strerror}") from e
    _sweep(folder, maps)
    return street_map


def _sweep(folder: Path, maps: tuple[StreetMap, ...]) -> None:
    """Remove what no map needs: those that were replaced, and what killed builds left."""
    needed = {one.build for one in maps}
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name not in needed:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One build at a time. The lock goes with its holder, however that dies."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(folder / LOCK, flags, 0o600), "r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise ConfigError("streets: another build is under way") from e
        yield


@contextlib.contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """A folder for a build, on the disk where the map will lie."""
    _sweep(folder, read_index(folder).maps)
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder, ignore_cleanup_errors=True) as (
        name
    ):
        yield Path(name)


def _child(file: Path, workplace: Path, on_progress: OnProgress) -> MadeTiles:
    """Run the child to its end. Raises `ConfigError`, `StreetsFailed`."""
    argv = [sys.executable, "-m", "deploy.tools.streets.making", str(file), str(workplace)]
    environment = {**os.environ, PARENT_PID_ENV: str(os.getpid())}
    made = None
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=errors, env=environment) as child,
    ):
        try:
            assert child.stdout is not None  # noqa: S101 - it is a pipe, as asked for
            for line in child.stdout:
                report = msgspec.json.decode(line, type=StreetReport)
                if report.stage == MADE:
                    made = report.made
                else:
                    on_progress(report.stage, report.done)
        except BaseException:
            child.kill()
            raise
        status = child.wait()
        if status == 0 and made is not None:
            return made
        words = _last_words(errors)
    if status == EXIT_CONFIG:
        raise ConfigError(f"streets: {words}")
    if status < 0:
        name = signal.Signals(-status).name
        words = f"its process was ended by {name}: is there room on the disk, and memory?"
    raise StreetsFailed(f"streets: {words}; the maps are as they were")


def _last_words(errors: IO[bytes]) -> str:
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - LAST_WORDS_BYTES))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "its process said nothing"
