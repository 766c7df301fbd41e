"""Maps of extracts: whole or not at all, whatever the file and whatever happens meanwhile."""

import fcntl
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import mapbox_vector_tile
import psutil
import pytest

from common.errors import ConfigError
from common.processes.process import children_of
from deploy.stack.home import Home
from deploy.stack.streets import INDEX, read_index, streets_folder
from deploy.streets import extract
from deploy.streets.build import LOCK, UNFINISHED, build_streets, name_of, remove_streets
from deploy.streets.child import StreetsFailed
from deploy.streets.making import make
from tests.stack import environment, fleetline
from tests.town import HOSTILE_NAMES, MIDDLE, Extract, ring, town
from tests.wait import wait_until


@pytest.fixture(scope="module")
def town_file(tmp_path_factory):
    return town(tmp_path_factory.mktemp("extract") / "Grid Town.osm.pbf")


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture(scope="module")
def built_home(town_file, tmp_path_factory):
    """A home with the town's map."""
    home = Home(tmp_path_factory.mktemp("built") / "home")
    build_streets(home, town_file, "town")
    return home


@pytest.fixture
def built(home, built_home):
    """The town's map, in place in this test's home."""
    shutil.copytree(built_home.path, home.path)
    return read_index(streets_folder(home)).maps[0]


def tiles_of(home, street_map):
    """Every tile of a map, decoded, by zoom, column and row."""
    folder = streets_folder(home) / street_map.build
    return {
        tuple(map(int, path.relative_to(folder).parts)): mapbox_vector_tile.decode(
            gzip.decompress(path.read_bytes())
        )
        for path in folder.glob("*/*/*")
    }


def facts_in(tiles, layer, zoom=14):
    return [
        feature["properties"]
        for (z, _, _), layers in tiles.items()
        if z == zoom
        for feature in layers.get(layer, {"features": []})["features"]
    ]


def names_in(tiles, layer, zoom=14):
    return {facts["name"] for facts in facts_in(tiles, layer, zoom) if "name" in facts}


def files_in(home):
    return sorted(path.name for path in streets_folder(home).iterdir() if path.name != LOCK)


def assert_as_it_was(home, built):
    assert read_index(streets_folder(home)).maps == (built,)
    assert files_in(home) == sorted([INDEX, built.build])
    assert len(tiles_of(home, built)) == built.tiles


def test_a_town_becomes_tiles(home, built):
    tiles = tiles_of(home, built)
    assert len(tiles) == built.tiles > 10
    assert {"7th Street", "Avenue 3"} <= names_in(tiles, "road")
    assert {"Grid Town", "Pond Park", "The Pond"} <= names_in(tiles, "name")
    assert {facts["name"] for facts in facts_in(tiles, "number")} == set(map(str, range(1, 145)))
    assert {"kind": "park"} in facts_in(tiles, "land")
    assert {"kind": "water"} in facts_in(tiles, "water")
    assert "River Made-up" in names_in(tiles, "line")
    assert {"kind": "building"} in facts_in(tiles, "building")
    assert {"kind": "motorway", "ref": "M 62"} in facts_in(tiles, "road", 8)
    assert names_in(tiles, "road", 8) == set()
    assert built.west < MIDDLE[1] < built.east
    assert built.south < MIDDLE[0] < built.north
    # The front door may have an account of its own.
    folder = streets_folder(home)
    for path in (folder, *(folder / built.build).rglob("*"), folder / built.build):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    assert (folder / INDEX).stat().st_mode & 0o777 == 0o644


def test_a_new_build_replaces_the_old_one_alone(home, built, town_file):
    told = []
    other, _ = build_streets(home, town_file, "other", lambda *stage: told.append(stage))
    assert told[0] == ("reading", 0)
    again, _ = build_streets(home, town_file, "town")
    assert again.build != built.build
    assert read_index(streets_folder(home)).maps == (other, again)
    assert files_in(home) == sorted([INDEX, other.build, again.build])
    assert remove_streets(home, "town")
    assert not remove_streets(home, "town")
    assert files_in(home) == sorted([INDEX, other.build])


BROKEN = {
    "empty": b"",
    "text": b"this is no extract\n" * 100,
    # A head that claims two gigabytes.
    "large": b"\x00\x00\x00\x0d\x0a\x09OSMHeader\x18\xff\xff\xff\x7f",
    "half": None,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_line_and_changes_nothing(home, built, town_file, tmp_path, name):
    whole = town_file.read_bytes()
    file = tmp_path / f"{name}.osm.pbf"
    file.write_bytes(BROKEN[name] if BROKEN[name] is not None else whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="cannot be read") as refused:
        build_streets(home, file, "town")
    assert "\n" not in str(refused.value)
    assert_as_it_was(home, built)


def test_an_extract_with_nothing_to_see_is_said(home, built, tmp_path):
    drawn = Extract()
    drawn.way([(53.0, -3.0), (53.1, -3.0)], {"power": "line"})
    with pytest.raises(ConfigError, match="nothing in the extract"):
        build_streets(home, drawn.write(tmp_path / "bare.osm.pbf"), "town")
    assert_as_it_was(home, built)


@pytest.mark.parametrize("file", ["-", "https://example.org/a.osm.pbf", "gone.osm.pbf", "."])
def test_only_files_of_this_machine_are_read(home, tmp_path, monkeypatch, file):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="there is no such file"):
        build_streets(home, Path(file))


@pytest.mark.parametrize("name", ["../x", "A", "", "x" * 41, "a/b", "-x", "a b", "index.json"])
def test_a_name_is_no_path(home, town_file, name):
    if name:
        with pytest.raises(ConfigError, match="name"):
            build_streets(home, town_file, name)
    assert name_of(Path(f"{name}.osm.pbf")) not in {"", "..", "."}


def test_hostile_names_are_plain_words(home, tmp_path):
    file = town(tmp_path / "hostile.osm.pbf", HOSTILE_NAMES)
    street_map, _ = build_streets(home, file)
    names = names_in(tiles_of(home, street_map), "road")
    assert "<img src=x onerror=alert(1)>" in names
    assert "Line break and bell" in names
    assert max(map(len, names)) == 80
    assert not any("\u202e" in name or "\x00" in name for name in names)


def test_what_an_extract_cuts_off_is_drawn_up_to_there(home, tmp_path):
    drawn = Extract()
    nodes = [drawn.node(53.4, -2.99 + i * 0.001) for i in range(4)]
    # Two of its nodes are beyond the edge, and one way has only one that is not.
    drawn.way_of([*nodes[:2], 999_001, *nodes[2:], 999_002], {"highway": "primary"})
    drawn.way_of([nodes[0], 999_001], {"highway": "secondary"})
    outer = drawn.way(ring(53.41, -2.99, 0.003), {})
    drawn.relation([(outer, "outer"), (7_777, "inner")], {"type": "multipolygon",
                                                            "natural": "water"})  # fmt: skip
    street_map, _ = build_streets(home, drawn.write(tmp_path / "cut.osm.pbf"))
    tiles = tiles_of(home, street_map)
    assert {facts["kind"] for facts in facts_in(tiles, "road")} == {"primary"}


def test_land_is_left_of_a_coastline_and_the_sea_is_right_of_it(home, tmp_path):
    drawn = Extract()
    drawn.way([(53.40, -3.02), (53.44, -3.02)], {"natural": "coastline"})
    drawn.way([(53.41, -3.05), (53.43, -3.00)], {"route": "ferry"})
    street_map, _ = build_streets(home, drawn.write(tmp_path / "coast.osm.pbf"))
    wet = {column for (zoom, column, _), layers in tiles_of(home, street_map).items()
           if zoom == 14 and "water" in layers}  # fmt: skip
    assert (min(wet), max(wet)) == (8054, 8055)


def test_across_180_degrees_there_is_one_town(home, tmp_path):
    drawn = Extract()
    drawn.way([(-17.0, 179.999), (-17.0, -179.999)], {"highway": "primary", "name": "Date Line"})
    street_map, _ = build_streets(home, drawn.write(tmp_path / "fiji.osm.pbf"))
    columns = {column for zoom, column, _ in tiles_of(home, street_map) if zoom == 14}
    assert columns == {0, 2**14 - 1}


def test_a_full_disk_leaves_the_old_map(home, built, town_file):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # The child inherits it; to write beyond fails as on a full disk.
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(StreetsFailed, match="cannot write"):
            build_streets(home, town_file, "town")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_as_it_was(home, built)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGBUS])
def test_a_child_that_dies_leaves_the_old_map(home, built, town_file, number):
    before = children_of(os.getpid())

    def kill(stage, _done):
        for pid in children_of(os.getpid()) - before:
            os.kill(pid, number)

    with pytest.raises(StreetsFailed, match=number.name):
        build_streets(home, town_file, "town", on_progress=kill)
    assert_as_it_was(home, built)


def test_a_killed_command_leaves_nothing_half(home, built, town_file):
    command = [sys.executable, "-m", "deploy.cli", "streets", "build", str(town_file),
               "--name", "town", "--home", str(home.path)]  # fmt: skip
    with subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) as process:
        wait_until(
            lambda: (
                any(name.startswith(UNFINISHED) for name in files_in(home))
                and children_of(process.pid)
            ),
            what="a build that is under way",
        )
        children = [psutil.Process(pid) for pid in children_of(process.pid)]
        process.kill()
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() for child in children)
    assert read_index(streets_folder(home)).maps == (built,)
    # What it left is nobody's, and the next build removes it.
    again, _ = build_streets(home, town_file, "town")
    assert_as_it_was(home, again)


def test_of_a_large_file_the_places_of_nodes_are_on_disk(
    built_home, town_file, tmp_path, monkeypatch, capfdbinary
):
    monkeypatch.setattr(extract, "IN_MEMORY_FILE_BYTES", 0)
    made = make(town_file, tmp_path)
    built = read_index(streets_folder(built_home)).maps[0]
    assert (made.tiles, made.size_bytes) == (built.tiles, built.size_bytes)
    # Neither they nor the buckets stay.
    assert [path.name for path in tmp_path.iterdir()] == ["tiles"]
    assert b'"stage":"reading"' in capfdbinary.readouterr().out


def test_two_builds_do_not_meet(home, built, town_file):
    with (streets_folder(home) / LOCK).open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConfigError, match="another build"):
            build_streets(home, town_file, "town")
        with pytest.raises(ConfigError, match="another build"):
            remove_streets(home, "town")
    assert_as_it_was(home, built)


def test_the_commands(home, town_file):
    where = ("--home", str(home.path))
    made = fleetline("streets", "build", str(town_file), *where)
    assert (made.returncode, made.stderr) == (0, "")
    assert made.stdout.startswith("grid-town: ")
    listed = fleetline("streets", "list", *where)
    assert listed.stdout.startswith("grid-town  ")
    assert fleetline("streets", "remove", "grid-town", *where).returncode == 0
    gone = fleetline("streets", "remove", "grid-town", *where)
    assert (gone.returncode, gone.stderr) == (2, "fleetline: streets: there is no map grid-town\n")
    assert json.loads((streets_folder(home) / INDEX).read_bytes())["maps"] == []


def test_without_the_packages_it_is_one_line(home, town_file, monkeypatch):
    monkeypatch.setattr("deploy.streets.extra.find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"fleetline\[roads\]"):
        build_streets(home, town_file)
