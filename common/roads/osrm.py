"""What is asked of OSRM over HTTP, and what its answers say. Pure.

Every answer tells how far each place was moved onto a road. A place that was moved farther than
SNAP_MAX_M is not on this graph: without that rule a graph of another country would answer with
ways along its own border.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import msgspec

from common.geo.sphere import distance_m
from common.roads.osrm_answer import (
    Answer,
    AnsweredLeg,
    AnsweredRoute,
    MatchAnswer,
    Matching,
    RoundedTable,
    RouteAnswer,
    Snapped,
    TableAnswer,
    answer_in,
    said,
)
from common.roads.thin import TraceFix
from common.roads.way import (
    Leg,
    MatchedLeg,
    MatchedPiece,
    Matrix,
    Point,
    Rows,
    Way,
)

# A place farther from any road than this is not on the graph; yards, parks and airfields are.
SNAP_MAX_M = 1000.0
# Sources, and targets, of one question; and those that OSRM allows unless it is told otherwise.
# One large question is several times quicker than many small ones.
TABLE_SIDE_MAX, TABLE_SIDE_PLAIN = 500, 100
# Fixes of one question to be matched: as many as OSRM allows unless it is told otherwise.
MATCH_POINTS_MAX = 100
# What a fix is off, as a standard deviation, at least and at most; OSRM looks for roads within
# three of it. Its own 5 m miss streets between houses: matched routes were off three times as much.
RADIUS_M, RADIUS_MAX_M = 10.0, 30.0
# What OSRM says where the places are fine and no way joins them, and where a trace lies off the
# roads.
_NO_WAY = frozenset({"NoRoute"})
_NO_MATCH = frozenset({"NoMatch", "NoSegment"})


class NoRoads(Exception):
    """The engine cannot say: it is not there, it refuses, or it has no roads near the places."""


class EngineAway(NoRoads):
    """It does not answer now."""


class TooBig(NoRoads):
    """It allows less in one question."""


class NoWay(Exception):
    """The engine knows the places, and no road joins them."""


class Table(NamedTuple):
    """A part of a matrix, and which of its sources and targets are on the graph."""

    matrix: Matrix
    sources: list[bool]
    targets: list[bool]


def table_query(sources: Sequence[Point], targets: Sequence[Point]) -> str:
    """The path and query that ask for a matrix, behind `/table/v1/<vehicle>/`."""
    first = len(sources)
    rows = ";".join(map(str, range(first)))
    columns = ";".join(map(str, range(first, first + len(targets))))
    return (
        f"{_places((*sources, *targets))}?sources={rows}&destinations={columns}"
        "&annotations=duration,distance&generate_hints=false"
    )


def read_table(body: bytes) -> Table:
    """What it says; no way leads from or to a place that is not on the graph. Raises `NoRoads`."""
    try:
        answer = _decoded(body, TableAnswer)
    except msgspec.ValidationError:
        # Among some thousand pairs of places there is one such in every tenth table.
        answer = _decoded(body, RoundedTable)
        answer.distances = [
            [max(0.0, m) if m is not None else None for m in row] for row in answer.distances
        ]
    rows = [_is_near(place) for place in answer.sources]
    columns = [_is_near(place) for place in answer.destinations]
    durations, distances = answer.durations, answer.distances
    for figures in (durations, distances):
        if [len(row) for row in figures] != [len(columns)] * len(rows):
            raise NoRoads("a table of another size than its places")
    if not (all(rows) and all(columns)):
        _blank(durations, rows, columns)
        _blank(distances, rows, columns)
    return Table(Matrix(durations, distances, "roads"), rows, columns)


def route_query(points: Sequence[Point]) -> str:
    """Likewise for a way, behind `/route/v1/<vehicle>/`."""
    return (
        f"{_places(points)}?overview=full&geometries=geojson&annotations=duration,distance"
        "&steps=false&generate_hints=false"
    )


def read_route(body: bytes) -> Way:
    """The way. Raises `NoRoads`, and `NoWay` where no road joins the places."""
    answer = _decoded(body, RouteAnswer)
    if not all(map(_is_near, answer.waypoints)):
        raise NoRoads("a place is not on the graph")
    route = answer.routes[0]
    if len(route.legs) != len(answer.waypoints) - 1:
        raise NoRoads("a way with other legs than its places have")
    return _way(route)


def match_query(fixes: Sequence[TraceFix], *, nodes: bool = False) -> str:
    """Likewise for matching fixes in order of time, behind `/match/v1/<vehicle>/`.

    `nodes`: whether the pieces name the nodes of the map.
    """
    times = ";".join(str(round(fix.at_s)) for fix in fixes)
    radii = ";".join(f"{radius_m(fix):.0f}" for fix in fixes)
    more = ",nodes" if nodes else ""
    places = _places([(fix.latitude, fix.longitude) for fix in fixes])
    return (
        f"{places}?timestamps={times}&radiuses={radii}"
        f"&overview=full&geometries=geojson&annotations=duration,distance{more}"
        "&gaps=ignore&tidy=false&steps=false&generate_hints=false"
    )


def radius_m(fix: TraceFix) -> float:
    """What a fix is held to be off, as a standard deviation."""
    return min(RADIUS_MAX_M, max(RADIUS_M, fix.accuracy_m or 0.0))


def read_match(body: bytes, fixes: Sequence[TraceFix]) -> list[MatchedPiece]:
    """The pieces of `fixes` that follow roads. Raises `NoRoads`, and `NoWay`: none does."""
    answer = _decoded(body, MatchAnswer, _NO_MATCH)
    members: list[list[float]] = [[] for _ in answer.matchings]
    for fix, point in zip(fixes, answer.tracepoints, strict=True):
        if point is not None:
            members[point.matchings_index].append(fix.at_s)
    return [
        # OSRM sometimes says more than 1, and then means that it does not know.
        MatchedPiece(_legs(matching, times), c if 0 <= (c := matching.confidence) <= 1 else 0.0)
        for matching, times in zip(answer.matchings, members, strict=True)
    ]


def _legs(matching: Matching, times: list[float]) -> tuple[MatchedLeg, ...]:
    line = [(y, x) for x, y in matching.geometry.coordinates]
    legs, first = [], 0
    for leg, begin, end in zip(matching.legs, times, times[1:], strict=False):
        annotation = leg.annotation
        last = first + len(annotation.distance)
        legs.append(
            MatchedLeg(
                begin,
                end,
                tuple(line[first : last + 1]),
                tuple(annotation.duration),
                tuple(annotation.distance),
                tuple(annotation.nodes),
                leg.duration,
                leg.distance,
            )
        )
        first = last
    return tuple(legs)


def join(bands: Sequence[Sequence[Table]]) -> Matrix:
    """One matrix of tables beside each other (inner) and below each other (outer).

    Raises `NoRoads` when no source, or no target, is on the graph.
    """
    if not any(any(band[0].sources) for band in bands) or not any(
        any(table.targets) for table in bands[0]
    ):
        raise NoRoads("no place is on the graph")
    if len(bands) == 1 and len(bands[0]) == 1:
        return bands[0][0].matrix

    def joined(rows_of: Callable[[Matrix], Rows]) -> Rows:
        return [
            [cell for row in beside for cell in row]
            for band in bands
            for beside in zip(*(rows_of(table.matrix) for table in band), strict=True)
        ]

    return Matrix(joined(lambda m: m.durations_s), joined(lambda m: m.distances_m), "roads")


def _places(points: Sequence[Point]) -> str:
    return ";".join(f"{longitude:.6f},{latitude:.6f}" for latitude, longitude in points)


def _decoded(body: bytes, kind: type[Answer], no_way: frozenset[str] = _NO_WAY) -> Answer:
    code = said(body)
    if code in no_way:
        raise NoWay(code)
    if code == "TooBig":
        raise TooBig("the engine allows less in one question")
    if code != "Ok":
        raise NoRoads(code)
    return answer_in(body, kind)


def _is_near(place: Snapped | None) -> bool:
    return place is not None and place.distance <= SNAP_MAX_M


def _blank(rows: Rows, near: list[bool], columns: list[bool]) -> None:
    """No way leads to or from a place that is not on the graph."""
    for row, is_near in zip(rows, near, strict=True):
        for column, known in enumerate(columns):
            if not (is_near and known):
                row[column] = None


def _way(route: AnsweredRoute) -> Way:
    points = tuple((y, x) for x, y in route.geometry.coordinates)
    if len(points) == 1:
        points *= 2
    legs = tuple(Leg(leg.duration, leg.distance) for leg in route.legs)
    step_s, step_m = _steps(points, route.legs)
    return Way(points, step_s, step_m, legs, "roads")


def _steps(
    points: tuple[Point, ...], legs: Sequence[AnsweredLeg]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds and metres of each step of the line; time at turns lies on the steps of its leg."""
    step_s: list[float] = []
    step_m: list[float] = []
    for leg in legs:
        seconds = leg.annotation.duration
        rolling = sum(seconds)
        share = leg.duration / rolling if rolling else 0.0
        step_s += [s * share for s in seconds]
        step_m += leg.annotation.distance
    if len(step_s) == len(step_m) == len(points) - 1:
        return tuple(step_s), tuple(step_m)
    # A line that leaves out a step without length: its time is shared by distance.
    metres = [distance_m(*a, *b) for a, b in pairwise(points)]
    whole = sum(metres)
    duration = sum(leg.duration for leg in legs)
    length = sum(leg.distance for leg in legs)
    shares = [m / whole if whole else 1 / len(metres) for m in metres]
    return tuple(duration * share for share in shares), tuple(length * share for share in shares)
