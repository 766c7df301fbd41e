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
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from common.errors import ConfigError
from deploy.servers.gateway import renew_streets
from deploy.stack.home import Home
from deploy.stack.streets import (
    StreetIndex,
    StreetMap,
    read_index,
    streets_folder,
    sweep,
    write_index,
)
from deploy.streets import extra
from deploy.streets.child import OnProgress, StreetsFailed, run_child
from deploy.streets.kinds import ZOOM_MAX, ZOOM_MIN
from deploy.streets.report import TILES, MadeTiles

# Folders of builds that are under way, or were killed.
UNFINISHED: Final = "building-"
LOCK: Final = "lock"
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")


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
    # A full path: the library takes `-` for standard input and fetches what looks like a URL.
    path = file.resolve()
    if not path.is_file():
        raise ConfigError(f"{file}: there is no such file")
    chosen = name or name_of(file)
    if not NAME.fullmatch(chosen):
        raise ConfigError(f"{chosen}: a map's name is 1 to 40 of a-z 0-9 _ -, no mark first")
    folder = streets_folder(home)
    with _locked(folder), _workplace(folder) as workplace:
        made = run_child(home, path, workplace, on_progress)
        street_map = _put_in_place(folder, workplace, chosen, made)
        renew_streets(home)
        return street_map, made.left_out


def remove_streets(home: Home, name: str) -> bool:
    """Remove a map; whether there was one. Raises `ConfigError`: another build is under way."""
    folder = streets_folder(home)
    with _locked(folder):
        index = read_index(folder)
        kept = tuple(one for one in index.maps if one.name != name)
        write_index(folder, StreetIndex(kept))
        sweep(folder, StreetIndex(kept))
        renew_streets(home)
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
        (workplace / TILES).rename(folder / build)
        others = tuple(one for one in read_index(folder).maps if one.name != name)
        maps = tuple(sorted((*others, street_map), key=lambda one: one.name))
        write_index(folder, StreetIndex(maps))
    except OSError as e:
        raise StreetsFailed(f"streets: cannot write {e.filename or folder}: {e.strerror}") from e
    sweep(folder, StreetIndex(maps))
    return street_map


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
    sweep(folder, read_index(folder))
    with tempfile.TemporaryDirectory(prefix=UNFINISHED, dir=folder, ignore_cleanup_errors=True) as (
        name
    ):
        yield Path(name)
