"""Graphs on this machine: one for each kind of vehicle, under `data/roads` of the home.

    data/roads/car/graph.json        what it was made of
                  /base/graph.osrm.* the graph, with the speeds of the map
                  /speeds-*/*.csv    learned speeds, by hour; learned.json says which count
                  /live-*/           the graph with the speeds of an hour, made when it begins

A graph is made in a folder of another name, and takes its place as a whole: a server that has the
files of the one before open keeps them until it has opened the new ones.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from common.contract import Vehicle
from common.errors import ConfigError
from common.event import MALFORMED
from common.roads.urls import VEHICLES
from deploy.stack import folders

GRAPH_FILE = "graph.json"
LEARNED_FILE = "learned.json"
# Name of the files of a graph, before their kinds.
STEM = "graph.osrm"
SPEEDS = "speeds"
LIVE = "live-"
OTHERS_FILE = "others.csv"


class GraphFacts(msgspec.Struct, frozen=True):
    """What a graph was made of, and when."""

    graph_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    source: str
    source_bytes: int
    added_at: datetime


class LearnedFacts(msgspec.Struct, frozen=True):
    """Which learned speeds count, and what they were worth when they were last judged."""

    learned_id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{16}$")]
    learned_at: datetime
    segments: int
    # Mean error as a share of the time under way, on the day that was not learned from.
    error_before: float
    error_after: float
    # By name of an hour: how many times longer than by the map the streets around take that
    # nobody drove. They are in OTHERS_FILE, with the map's speeds.
    others: dict[str, float] = {}

    @property
    def folder(self) -> str:
        """Where they are, under the graph's own."""
        return f"{SPEEDS}-{self.learned_id}"


Facts = TypeVar("Facts", GraphFacts, LearnedFacts)


class Graph:
    """A graph's folder."""

    def __init__(self, vehicle: Vehicle, folder: Path) -> None:
        self.vehicle = vehicle
        self.folder = folder

    @property
    def base(self) -> Path:
        """Its files with the speeds of the map: the path without their kinds."""
        return self.folder / "base" / STEM

    def facts(self) -> GraphFacts | None:
        """What it was made of; None: there is no graph."""
        return _read(self.folder / GRAPH_FILE, GraphFacts)

    def learned(self) -> LearnedFacts | None:
        """The learned speeds that count, if any."""
        return _read(self.folder / LEARNED_FILE, LearnedFacts)

    def size(self) -> int:
        """Bytes of all its files; one with two names counts once."""
        seen = {}
        for file in self.folder.rglob("*"):
            with contextlib.suppress(OSError):
                status = file.lstat()
                seen[status.st_ino] = status.st_size
        return sum(seen.values())


class GraphStore:
    """`data/roads` of a home."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def graph(self, vehicle: Vehicle) -> Graph:
        """The graph of a vehicle, which need not be there."""
        return Graph(vehicle, self.folder / vehicle)

    def graphs(self) -> list[tuple[Graph, GraphFacts]]:
        """All that are there."""
        found = [(graph, graph.facts()) for graph in map(self.graph, VEHICLES)]
        return [(graph, facts) for graph, facts in found if facts is not None]

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """For a block that makes, changes or removes graphs. Raises `ConfigError`: another does."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self.folder / "lock", flags, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as e:
            raise ConfigError(f"{self.folder}: another command works on it") from e
        finally:
            os.close(lock)

    def new_folder(self, vehicle: Vehicle) -> Path:
        """An empty folder to make a graph in."""
        folder = self.folder / f".{vehicle}.new"
        folders.remove_folder(folder)
        return folders.make_folder(folder)

    def put(self, vehicle: Vehicle, made: Path) -> None:
        """Let `made` be the graph. Learned speeds stay: they name the map's own nodes."""
        graph, old = self.graph(vehicle), self.folder / f".{vehicle}.old"
        folders.remove_folder(old)
        learned = graph.learned()
        if learned is not None and (graph.folder / learned.folder).is_dir():
            shutil.copytree(graph.folder / learned.folder, made / learned.folder)
            shutil.copyfile(graph.folder / LEARNED_FILE, made / LEARNED_FILE)
        if graph.folder.exists():
            graph.folder.rename(old)
        made.rename(graph.folder)
        folders.remove_folder(old)

    def remove(self, vehicle: Vehicle) -> bool:
        """Remove a graph; whether there was one."""
        graph, old = self.graph(vehicle), self.folder / f".{vehicle}.old"
        folders.remove_folder(old)
        if not graph.folder.exists():
            return False
        graph.folder.rename(old)
        folders.remove_folder(old)
        return True


def store_of(home: Path) -> GraphStore:
    """The graphs of a home, whether there are any or not."""
    return GraphStore(home / "data" / "roads")


def write_facts(file: Path, facts: GraphFacts | LearnedFacts) -> None:
    """Put the file in place as a whole."""
    partial = file.with_suffix(".new")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(facts), indent=1) + b"\n")
    partial.replace(file)


def _read(file: Path, kind: type[Facts]) -> Facts | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=kind)
    except (OSError, *MALFORMED):
        return None
