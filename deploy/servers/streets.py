"""Where the front door finds the streets: in the home, or a copy where its account cannot come."""

import shutil
from pathlib import Path

from common.log import get
from deploy.stack import folders
from deploy.stack.home import Home
from deploy.stack.streets import FOLDER, FOLDER_MODE, StreetIndex, read_index, write_index

# The copies lie in /run, which is memory on most machines: this much of it stays free.
SPARE_SHARE = 0.5


def streets_parent(home: Home, copies: Path | None) -> Path:
    """The folder with the streets' folder in it. `copies`: where one is made of what there is."""
    parent = home.folder("data")
    if copies is None:
        return parent
    source, target = parent / FOLDER, copies / FOLDER
    index = read_index(source)
    size_bytes = sum(one.size_bytes for one in index.maps)
    try:
        folders.make_folder(target, FOLDER_MODE)
        if size_bytes > SPARE_SHARE * shutil.disk_usage(target).free:
            raise OSError(f"{size_bytes} bytes have no room in {target}")
        for one in index.maps:
            shutil.copytree(source / one.build, target / one.build)
        write_index(target, index)
    except OSError as e:
        # A map that is being replaced, or no room: the pages show their bare grid.
        get("up").warning("streets.not_copied", detail=str(e))
        write_index(target, StreetIndex())
    return copies
