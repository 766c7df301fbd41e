"""What OSRM's answers say."""

from typing import Any

import orjson
import pytest

from common.roads.engine import understood
from common.roads.osrm import (
    SNAP_MAX_M,
    EngineAway,
    NoRoads,
    NoWay,
    Table,
    join,
    match_query,
    read_match,
    read_route,
    read_table,
    route_query,
    table_query,
)
from common.roads.thin import TraceFix
from common.roads.way import Matrix

NEAR, FAR = {"distance": 3.0}, {"distance": SNAP_MAX_M + 1}


def body(**members: object) -> bytes:
    return orjson.dumps({"code": "Ok", **members})


def table(sources: list[Any], targets: list[Any]) -> Table:
    rows = [[10.0 * r + c for c in range(len(targets))] for r in range(len(sources))]
    return read_table(
        body(sources=sources, destinations=targets, durations=rows, distances=[[*r] for r in rows])
    )


def test_places_are_longitude_first():
    assert table_query([(47.1, 9.5)], [(47.2, 9.6), (47.3, 9.7)]).startswith(
        "9.500000,47.100000;9.600000,47.200000;9.700000,47.300000?sources=0&destinations=1;2&"
    )
    assert route_query([(-1.5, -0.25), (0, 0)]).startswith("-0.250000,-1.500000;0.000000,0.000000?")
    query = match_query([TraceFix(1000.4, 1, 2), TraceFix(1005.6, 1, 2, 25)])
    assert "timestamps=1000;1006&radiuses=10;25&" in query


def test_no_way_leads_from_or_to_what_is_not_on_the_graph():
    found = table([NEAR, FAR], [NEAR, NEAR, FAR])
    assert found.matrix.durations_s == [[0.0, 1.0, None], [None, None, None]]
    assert found.matrix.distances_m == found.matrix.durations_s
    assert join([[found]]) == found.matrix


@pytest.mark.parametrize(("sources", "targets"), [([FAR], [NEAR]), ([NEAR], [FAR, FAR])])
def test_a_graph_that_knows_no_source_or_no_target_cannot_say(sources, targets):
    with pytest.raises(NoRoads):
        join([[table(sources, targets)]])


def test_a_distance_that_is_rounded_below_nothing_is_none():
    # What broke: OSRM has -0.2 m between two places of one street in every tenth table of fifty
    # places by fifty, and the whole table was answered by the straight line.
    answer = {"sources": [NEAR], "destinations": [NEAR, NEAR], "durations": [[0, None]]}
    found = read_table(body(**answer, distances=[[-0.2, None]])).matrix
    assert (found.durations_s, found.distances_m) == ([[0.0, None]], [[0.0, None]])
    with pytest.raises(NoRoads):
        understood(read_table, body(**answer, distances=[[-6.0, None]]))


def test_tables_beside_and_below_each_other_are_one():
    def part(rows: list[list[float | None]]) -> Table:
        matrix = Matrix(rows, [[*row] for row in rows], "roads")
        return Table(matrix, [True] * len(rows), [True] * len(rows[0]))

    whole = join([[part([[1, 2], [3, 4]]), part([[5], [6]])], [part([[7, 8]]), part([[9]])]])
    assert whole.durations_s == [[1, 2, 5], [3, 4, 6], [7, 8, 9]]
    assert whole.distances_m == whole.durations_s


def leg(duration: float, seconds: list[float], metres: list[float], nodes=()) -> dict[str, Any]:
    annotation = {"duration": seconds, "distance": metres, "nodes": list(nodes)}
    return {"duration": duration, "distance": sum(metres), "annotation": annotation}


def line(count: int) -> dict[str, Any]:
    return {"coordinates": [[9 + n / 1000, 47] for n in range(count)]}


def test_steps_add_up_to_their_legs():
    legs = [leg(15.0, [4.0, 6.0], [40.0, 60.0]), leg(5.0, [5.0], [50.0])]
    way = read_route(body(waypoints=[NEAR] * 3, routes=[{"geometry": line(4), "legs": legs}]))
    assert way.step_s == (6.0, 9.0, 5.0)
    assert way.step_m == (40.0, 60.0, 50.0)
    assert (way.duration_s, way.distance_m) == (20.0, 150.0)


def test_a_line_of_fewer_steps_is_shared_by_distance():
    legs = [leg(15.0, [4.0, 0.0, 6.0], [40.0, 0.0, 60.0])]
    way = read_route(body(waypoints=[NEAR] * 2, routes=[{"geometry": line(3), "legs": legs}]))
    assert len(way.step_s) == 2
    assert sum(way.step_s) == pytest.approx(15.0)
    assert sum(way.step_m) == pytest.approx(100.0)


def test_a_way_to_where_it_begins_has_a_line_too():
    legs = [leg(0.0, [0.0], [0.0])]
    way = read_route(body(waypoints=[NEAR] * 2, routes=[{"geometry": line(1), "legs": legs}]))
    assert len(way.points) == 2
    assert way.duration_s == 0.0


def test_a_place_that_is_not_on_the_graph_has_no_way():
    with pytest.raises(NoRoads):
        read_route(body(waypoints=[NEAR, FAR], routes=[]))


def test_pieces_have_their_fixes_times():
    fixes = [TraceFix(at_s, 47, 9) for at_s in (0, 10, 20, 30, 40)]
    points = [{"matchings_index": i} if i is not None else None for i in (0, 0, None, 1, 1)]
    matchings = [
        {"geometry": line(3), "confidence": 0.9, "legs": [leg(9, [3, 5], [30, 50], (1, 2, 3))]},
        {"geometry": line(2), "confidence": 1.7, "legs": [leg(9, [8], [80], (4, 5))]},
    ]
    first, second = read_match(body(tracepoints=points, matchings=matchings), fixes)
    assert (first.legs[0].begin_s, first.legs[0].end_s) == (0, 10)
    assert (first.legs[0].nodes, len(first.legs[0].points)) == ((1, 2, 3), 3)
    assert (second.legs[0].begin_s, second.legs[0].end_s) == (30, 40)
    assert (first.confidence, second.confidence) == (0.9, 0.0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b'{"code":"NoRoute"}', NoWay),
        (b'{"code":"NoSegment"}', NoRoads),
        (b'{"code":"TooBig"}', NoRoads),
        (b"<html>502</html>", NoRoads),
        (b"[]", NoRoads),
        (b"", NoRoads),
        (b'{"code":"Ok"}', NoRoads),
        (b'{"code":"Ok","waypoints":[{"distance":1}],"routes":[]}', NoRoads),
    ],
)
def test_what_is_no_way_says_why(answer, error):
    with pytest.raises(error):
        understood(read_route, answer)
    assert issubclass(EngineAway, NoRoads)


TABLE = {"sources": [NEAR], "destinations": [NEAR, NEAR]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"durations": "x", "distances": "y"},
        {"durations": [["x", "y"]], "distances": [[1, 2]]},
        {"durations": [[1, -2]], "distances": [[1, 2]]},
        {"durations": [[1]], "distances": [[1, 2]]},
        {"durations": [[1, 2], [1, 2]], "distances": [[1, 2]]},
        {"durations": [], "distances": []},
        {"durations": [[{"a": 1}, 2]], "distances": [[1, 2]]},
    ],
)
def test_a_table_of_something_else_is_no_table(wrong):
    with pytest.raises(NoRoads):
        understood(read_table, body(**TABLE, **wrong))


@pytest.mark.parametrize(
    "route",
    [
        {"geometry": {"coordinates": []}, "legs": [leg(1, [1], [1])]},
        {"geometry": {"coordinates": [[500, 47], [9, 47]]}, "legs": [leg(1, [1], [1])]},
        {"geometry": {"coordinates": "<script>"}, "legs": [leg(1, [1], [1])]},
        {"geometry": line(2), "legs": []},
        {"geometry": line(2), "legs": [leg(1, [1], [1])] * 2},
        {"geometry": line(2), "legs": [{"duration": 1, "distance": 1, "annotation": []}]},
        {"geometry": line(2), "legs": [{"duration": None, "distance": 1, "annotation": {}}]},
    ],
)
def test_a_way_of_something_else_is_no_way(route):
    with pytest.raises(NoRoads):
        understood(read_route, body(waypoints=[NEAR] * 2, routes=[route]))


@pytest.mark.parametrize("points", [[{"matchings_index": -1}], [{"matchings_index": 7}], [], "x"])
def test_a_match_of_something_else_is_none(points):
    matchings = [{"geometry": line(2), "confidence": 1, "legs": [leg(1, [1], [1])]}]
    answer = body(tracepoints=points, matchings=matchings)
    with pytest.raises(NoRoads):
        understood(lambda data: read_match(data, [TraceFix(0, 47, 9)]), answer)


def test_an_answer_nested_without_end_is_none():
    with pytest.raises(NoRoads):
        understood(read_table, b'{"code":"Ok","sources":' + b"[" * 100_000)
