"""When speeds are learned, and which graph with which speeds an engine should serve."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.roads.graphs import (
    GRAPH_FILE,
    LEARNED_FILE,
    Graph,
    GraphFacts,
    GraphStore,
    LearnedFacts,
    write_facts,
)
from deploy.roads.keeper import Edition, wanted
from deploy.roads.metric import HourSpeeds, copy_graph
from deploy.roads.role import next_night
from deploy.roads.slots import slot_at, slot_name

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
GRAPH_ID, LEARNED_ID = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize(
    ("last", "night"),
    [
        (None, NOON.replace(day=6, hour=3, minute=20)),
        (NOON.replace(hour=3, minute=20), NOON.replace(day=6, hour=3, minute=20)),
        # It was away for a night: what is due is done at once.
        (NOON - timedelta(days=1), NOON.replace(hour=3, minute=20)),
        (NOON.replace(hour=1), NOON.replace(hour=3, minute=20)),
    ],
)
def test_speeds_are_learned_in_the_first_night_after_the_last_time(last, night):
    last_s = None if last is None else last.timestamp()
    assert next_night(last_s, NOON.timestamp()) == night.timestamp()


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    found = GraphStore(tmp_path).graph("car")
    found.base.parent.mkdir(parents=True)
    write_facts(found.folder / GRAPH_FILE, GraphFacts(GRAPH_ID, "town.osm", 1, NOON))
    return found


def learn(graph: Graph, *names: str) -> None:
    facts = LearnedFacts(LEARNED_ID, NOON, 1, 0.3, 0.1)
    write_facts(graph.folder / LEARNED_FILE, facts)
    folder = graph.folder / facts.folder
    folder.mkdir()
    for name in names:
        (folder / f"{name}.csv").write_text("1,2,30\n")


def test_without_learned_speeds_those_of_the_map_are_served(graph: Graph):
    assert wanted(graph, NOON.timestamp()) == Edition(GRAPH_ID)
    learn(graph)
    assert wanted(graph, NOON.timestamp()) == Edition(GRAPH_ID)


def test_an_hour_in_which_somebody_drove_has_its_own(graph: Graph):
    hour = slot_name(slot_at(NOON.timestamp()))
    learn(graph, hour, "any")
    assert wanted(graph, NOON.timestamp()) == Edition(GRAPH_ID, LEARNED_ID, hour)
    other = NOON + timedelta(hours=1)
    assert wanted(graph, other.timestamp()) == Edition(GRAPH_ID, LEARNED_ID, "any")


def test_no_graph_and_a_broken_one_are_none(graph: Graph):
    (graph.folder / GRAPH_FILE).write_text("{")
    assert wanted(graph, NOON.timestamp()) is None
    assert GraphStore(graph.folder.parent).graphs() == []


def test_a_newer_graph_keeps_what_was_learned(graph: Graph, tmp_path: Path):
    learn(graph, "any")
    store = GraphStore(tmp_path)
    made = store.new_folder("car")
    write_facts(made / GRAPH_FILE, GraphFacts(LEARNED_ID, "newer.osm", 2, NOON))
    store.put("car", made)
    assert wanted(graph, NOON.timestamp()) == Edition(LEARNED_ID, LEARNED_ID, "any")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["car"]
    assert store.remove("car")
    assert not store.remove("car")


def test_streets_that_nobody_drove_take_longer_too(tmp_path: Path):
    hour, others, written = (tmp_path / name for name in ("hour", "others", "written"))
    hour.write_text("1,2,30.0\n")
    others.write_text("2,3,50.0\n")
    HourSpeeds(hour, others, 2.5).write(written)
    assert written.read_text() == "2,3,20.0\n1,2,30.0\n"
    HourSpeeds(hour).write(written)
    assert written.read_text() == "1,2,30.0\n"


def test_weighing_changes_no_file_of_the_graph_that_is_served(graph: Graph, tmp_path: Path):
    for kind in (".geometry", ".names"):
        graph.base.with_name(f"graph.osrm{kind}").write_text("as it was")
    copy_graph(graph.base, tmp_path / "live")
    (tmp_path / "live/graph.osrm.geometry").write_text("weighed anew")
    assert graph.base.with_name("graph.osrm.geometry").read_text() == "as it was"
    assert (tmp_path / "live/graph.osrm.names").stat().st_nlink == 2
