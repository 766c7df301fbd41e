"""Where the front door finds the streets, and what it says of them."""

import re
import shutil
from pathlib import Path

import pytest

from deploy.gateway.streets import street_locations
from deploy.servers.streets import copy_streets, streets_parent
from deploy.stack.home import Home
from deploy.stack.streets import (
    BUILD_PATTERN,
    StreetIndex,
    StreetMap,
    read_index,
    streets_folder,
    write_index,
)

MAP = StreetMap(
    name="town", build="town-0123abcd", zoom_min=5, zoom_max=14, west=1, south=2, east=3, north=4,
    tiles=1, size_bytes=4, built_at="2026-01-01T00:00:00+00:00",
)  # fmt: skip


@pytest.fixture
def home(tmp_path):
    """A home with a map of one tile."""
    home = Home(tmp_path / "home")
    folder = streets_folder(home)
    tile = folder / MAP.build / "14" / "1" / "2"
    tile.parent.mkdir(parents=True)
    tile.write_bytes(b"tile")
    write_index(folder, StreetIndex((MAP,)))
    return home


def test_it_reads_them_in_the_home(home):
    assert streets_parent(home, None) == home.folder("data")


def test_where_the_home_is_closed_it_has_a_copy(home, tmp_path):
    copies = tmp_path / "copies"
    copies.mkdir()
    assert streets_parent(home, copies) == copies
    assert read_index(copies / "streets") == StreetIndex((MAP,))
    assert (copies / "streets" / MAP.build / "14" / "1" / "2").read_bytes() == b"tile"
    write_index(streets_folder(home), StreetIndex())
    copy_streets(home, copies)
    assert [path.name for path in (copies / "streets").iterdir()] == ["index.json"]
    assert read_index(copies / "streets").maps == ()


@pytest.mark.parametrize("fault", ["gone", "no room"])
def test_what_cannot_be_copied_is_not_shown(home, tmp_path, fault):
    copies = tmp_path / "copies"
    copies.mkdir()
    folder = streets_folder(home)
    if fault == "gone":
        shutil.rmtree(folder / MAP.build)
    else:
        large = StreetMap(**{f: getattr(MAP, f) for f in MAP.__struct_fields__} | {
            "size_bytes": 2**60})  # fmt: skip
        write_index(folder, StreetIndex((large,)))
    assert streets_parent(home, copies) == copies
    assert read_index(copies / "streets").maps == ()


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"[]", b"{", b'{"maps": 5}', b'{"maps": [{"name": 1}]}'),
        *(b'{"attribution": "\xff"}', b'{"x":' + b"[" * 50_000),
    ],
)
def test_an_index_that_is_none_shows_nothing(tmp_path, content):
    assert read_index(tmp_path).maps == ()
    (tmp_path / "index.json").write_bytes(content)
    assert read_index(tmp_path).maps == ()


def test_paths_of_tiles_lead_to_tiles_alone():
    text = street_locations(Path("/home/x/data"))
    assert 'root "/home/x/data/";' in text
    pattern = re.search(r'location ~ "(.+)" \{', text).group(1).replace("?<", "?P<")
    assert re.search(pattern, f"/streets/{MAP.build}/14/1/2").group("build").endswith(MAP.build)
    for wrong in (
        f"/streets/{MAP.build}/14/1/..",
        "/streets/../14/1/2",
        f"/streets/building-x/{MAP.build}/14/1/2",
        "/streets/lock",
        f"/streets/{MAP.build}/14/1/2/3",
    ):
        assert not re.search(pattern, wrong)
    assert re.fullmatch(BUILD_PATTERN, MAP.build)
