"""Where the front door finds the streets: in the home, or a copy where its account cannot come."""

import shutil
from pathlib import Path

from common.log import get
from deploy.stack import folders
from deploy.stack.home import Home
from deploy.stack.streets import (
    FOLDER,
    FOLDER_MODE,
    StreetIndex,
    read_index,
    sweep,
    write_index,
)

# The copies lie in /run, which is memory on most machines: this much of it stays free.
SPARE_SHARE = 0.5
UNFINISHED = "copying"


def streets_parent(home: Home, copies: Path | None) -> Path:
    """The folder with the streets' folder in it. `copies`: where one is made of what there is."""
    if copies is None:
        return home.folder("data")
    copy_streets(home, copies)
    return copies


def copy_streets(home: Home, copies: Path) -> None:
    """Make the copy what the home has. What fails is said, and shows nothing."""
    source, target = home.folder("data") / FOLDER, copies / FOLDER
    index = read_index(source)
    try:
        folders.make_folder(target, FOLDER_MODE)
        missing = [one for one in index.maps if not (target / one.build).exists()]
        size_bytes = sum(one.size_bytes for one in missing)
        if size_bytes > SPARE_SHARE * shutil.disk_usage(target).free:
            raise OSError(f"{size_bytes} bytes have no room in {target}")
        for one in missing:
            # Whole before it has its name.
            shutil.copytree(source / one.build, target / UNFINISHED)
            (target / UNFINISHED).rename(target / one.build)
    except OSError as e:
        # A map that is being replaced, or no room: the pages show their bare grid.
        get("up").warning("streets.not_copied", detail=str(e))
        index = StreetIndex()
    write_index(target, index)
    sweep(target, index)
