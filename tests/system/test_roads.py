"""`fleetline roads`, and a stack with a road engine: a graph is added, used, killed and removed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil

from deploy.roads.role import LEARN_FILE
from tests.roles.roads import STREET_M, needs_engine, place, write_grid
from tests.stack import Stack, fleetline, new_home
from tests.wait import wait_until

pytestmark = needs_engine

HERE, THERE = place(1, 1), place(4, 3)
# What a process of the engine may take: its files are mapped, not read.
MEMORY_MAX_MB = 30
LONG_AGO = 1_700_000_000.0


def ask(stack: Stack) -> Any:
    """The way between two crossings."""
    points = [{"latitude": p[0], "longitude": p[1]} for p in (HERE, THERE)]
    status, found = stack.request("POST", "/api/v1/route", {"points": points})
    assert status == 200
    return found["properties"]


def roads(home: Path, *arguments: str) -> Any:
    done = fleetline("roads", *arguments, "--home", str(home))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_stack_with_a_road_engine(tmp_path: Path) -> None:
    extract = write_grid(tmp_path / "town.osm")
    with new_home() as home:
        # The map under the drivers comes with it.
        said = roads(home, "add", str(extract))
        assert "reading the map" in said
        assert "town: " in said
        (listed,) = json.loads(roads(home, "list", "--json"))
        assert (listed["vehicle"], listed["source"]) == ("car", "town.osm")
        learned_at = _learned_long_ago(home)
        with Stack(home, "--roles", "roads,consumers,fanout,ingest") as stack:
            _serves(stack)
            wait_until(lambda: learned_at.stat().st_mtime > LONG_AGO, what="a night's learning")
            _comes_back(stack)
            # The night's own learning may still be at it.
            wait_until(lambda: _nothing_to_learn(home), timeout_s=30, what="the end of learning")
            assert "roads.not_learned" not in (home / "log/roads.log").read_text()
            _changes(stack, home, extract)
        assert "there is no graph" in roads(home, "list")


def _learned_long_ago(home: Path) -> Path:
    """The note of when speeds were last learned: nights ago, so it is due."""
    file = home / "data/roads" / LEARN_FILE
    file.touch()
    os.utime(file, (LONG_AGO, LONG_AGO))
    folder = file.parent.stat()
    os.chown(file, folder.st_uid, folder.st_gid)
    return file


def _nothing_to_learn(home: Path) -> bool:
    done = fleetline("roads", "learn", "--home", str(home))
    assert done.returncode == 0 or "another command works on it" in done.stderr
    return "no day with trips" in done.stdout


def _serves(stack: Stack) -> None:
    wait_until(lambda: ask(stack)["method"] == "roads", what="the engine")
    assert abs(ask(stack)["distance_m"] - 5 * STREET_M) < 20
    pid = stack.pid("roads-car")
    assert pid is not None
    engine = psutil.Process(pid)
    assert engine.memory_info().rss < MEMORY_MAX_MB * 1_000_000
    hosts = {c.laddr.ip for c in engine.net_connections() if c.status == "LISTEN"}
    assert hosts == {"127.0.0.1"}
    shown = json.loads(fleetline("status", "--json", "--home", str(stack.home)).stdout)
    assert ("roads-car", "running") in {(p["role"], p["state"]) for p in shown["processes"]}


def _comes_back(stack: Stack) -> None:
    """Killed, it is back; meanwhile the fallback answers and everything else goes on."""
    engine = stack.pid("roads-car")
    assert engine is not None
    os.kill(engine, signal.SIGKILL)
    assert ask(stack)["method"] in {"straight", "roads"}
    fix = {"latitude": HERE[0], "longitude": HERE[1]}
    assert stack.request("POST", "/api/v1/drivers/d1/location", fix)[0] == 202
    wait_until(lambda: stack.pid("roads-car") not in {None, engine}, what="another engine")
    wait_until(lambda: ask(stack)["method"] == "roads", what="ways by road")
    role = stack.pid("roads")
    assert role is not None
    os.kill(role, signal.SIGKILL)
    wait_until(lambda: stack.pid("roads") not in {None, role}, what="another role")
    wait_until(lambda: ask(stack)["method"] == "roads", what="ways by road")


def _changes(stack: Stack, home: Path, extract: Path) -> None:
    """A new graph, and none, are taken up while all goes on."""
    before = stack.pid("roads-car")
    write_grid(extract, side=3)
    roads(home, "add", str(extract))
    wait_until(lambda: stack.pid("roads-car") not in {None, before}, what="the new graph")
    # The far end of the way is more than a kilometre off the small town's roads.
    points = [{"latitude": p[0], "longitude": p[1]} for p in (HERE, place(11, 11))]
    _, found = stack.request("POST", "/api/v1/route", {"points": points})
    assert found["properties"]["method"] == "straight"
    assert "removed" in roads(home, "remove", "car")
    wait_until(lambda: ask(stack)["method"] == "straight", what="the fallback")
    wait_until(lambda: stack.pid("roads-car") is None, what="the end of the engine")


def test_what_is_no_extract_is_one_line(tmp_path: Path) -> None:
    with new_home() as home:
        for file, words in (
            (tmp_path / "none.osm.pbf", "no such file"),
            (Path(__file__), "extract"),
        ):
            done = fleetline("roads", "add", str(file), "--home", str(home))
            assert done.returncode == 2
            assert words in done.stderr
        broken = tmp_path / "broken.osm.pbf"
        broken.write_bytes(b"\0" * 100)
        done = fleetline("roads", "add", str(broken), "--no-streets", "--home", str(home))
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "osrm-extract failed: PBF error" in done.stderr
        assert "there is no graph" in roads(home, "list")
        done = fleetline("roads", "add", str(broken), "--vehicle", "boat", "--home", str(home))
        assert done.returncode == 2
        done = fleetline("roads", "remove", "car", "--home", str(home))
        assert "no graph for car" in done.stderr
