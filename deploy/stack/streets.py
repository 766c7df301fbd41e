"""Where the streets of the maps lie: `data/streets` in the home, which the front door serves.

`index.json` names the maps there are. Each has a folder of its own, whose name is new with every
build, so that what is in it never changes: browsers may keep it, and a new map is put in place by
replacing the index alone.
"""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from common.event import MALFORMED
from deploy.stack import folders
from deploy.stack.home import Home

FOLDER: Final = "streets"
INDEX: Final = "index.json"
# A map's folder: the name of its extract and eight random digits. nginx and the pages know it.
BUILD_PATTERN: Final = "[a-z0-9_-]{1,40}-[0-9a-f]{8}"
# The front door may have an account of its own, and what is drawn here is public anyway.
FOLDER_MODE: Final = 0o755
FILE_MODE: Final = 0o644


class StreetMap(msgspec.Struct, frozen=True):
    """One map as the index names it. Zooms are those of tiles; degrees for the rest."""

    name: str
    # Its folder.
    build: str
    zoom_min: int
    zoom_max: int
    west: float
    south: float
    east: float
    north: float
    tiles: int
    size_bytes: int
    # RFC 3339; when it was built.
    built_at: str


class StreetIndex(msgspec.Struct, frozen=True):
    """The maps, by name."""

    maps: tuple[StreetMap, ...] = ()
    # What the licence of the data asks for (ODbL), and where it is read.
    attribution: str = "© OpenStreetMap contributors"
    attribution_url: str = "https://www.openstreetmap.org/copyright"


def streets_folder(home: Home) -> Path:
    """The folder, which exists and is ours. Raises `ConfigError`."""
    with home.writing():
        return folders.make_folder(home.folder("data") / FOLDER, FOLDER_MODE)


def read_index(folder: Path) -> StreetIndex:
    """The maps that are there; none where nothing was built, or the file is not ours."""
    try:
        return msgspec.json.decode((folder / INDEX).read_bytes(), type=StreetIndex)
    except (FileNotFoundError, *MALFORMED):
        return StreetIndex()


def write_index(folder: Path, index: StreetIndex) -> None:
    """Put an index in place of the last one, at once."""
    folders.write_file(folder / INDEX, msgspec.json.encode(index), FILE_MODE)


def sweep(folder: Path, index: StreetIndex) -> None:
    """Remove what no map needs: builds that were replaced, and what killed ones left."""
    needed = {one.build for one in index.maps}
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink() and path.name not in needed:
            shutil.rmtree(path, ignore_errors=True)
