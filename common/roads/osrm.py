"""What is asked of OSRM over HTTP, and what its answers say. Pure.

Every answer tells how far each place was moved onto a road. A place that was moved farther than
SNAP_MAX_M is not on this graph: without that rule a graph of another country would answer with
ways along its own border.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from common.geo.sphere import distance_m
from common.roads.way import Leg, MatchedPiece, Matrix, Point, Rows, TimedPoint, Way

# A place farther from any road than this is not on the graph; yards, parks and airfields are.
SNAP_MAX_M = 1000.0
# Sources, and targets, of one question. OSRM allows as many unless it is told otherwise.
TABLE_SIDE_MAX = 100
# Points of one question for a way, and fixes of one to be matched.
ROUTE_POINTS_MAX = 500
MATCH_POINTS_MAX = 1000
# What OSRM says where the places are fine and no way joins them.
_NO_WAY = frozenset({"NoRoute", "NoTable"})


class NoRoads(Exception):
    """The engine cannot say: it is not there, it refuses, or it has no roads near the places."""


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
    answer = _decoded(body)
    rows = [_is_near(place) for place in answer["sources"]]
    columns = [_is_near(place) for place in answer["destinations"]]
    durations, distances = answer["durations"], answer["distances"]
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
    answer = _decoded(body)
    if not all(map(_is_near, answer["waypoints"])):
        raise NoRoads("a place is not on the graph")
    return _way(answer["routes"][0])


def match_query(fixes: Sequence[TimedPoint], radius_m: float, *, nodes: bool = False) -> str:
    """Likewise for matching fixes in order of time, behind `/match/v1/<vehicle>/`.

    `radius_m`: what the fixes are off, as a standard deviation. `nodes`: whether the pieces name
    the nodes of the map.
    """
    times = ";".join(str(round(fix[0])) for fix in fixes)
    radii = ";".join([f"{radius_m:g}"] * len(fixes))
    more = ",nodes" if nodes else ""
    return (
        f"{_places([fix[1:] for fix in fixes])}?timestamps={times}&radiuses={radii}"
        f"&overview=full&geometries=geojson&annotations=duration,distance{more}"
        "&gaps=ignore&tidy=false&steps=false&generate_hints=false"
    )


def read_match(body: bytes) -> list[MatchedPiece]:
    """The pieces of the trace that follow roads, in order. Raises `NoRoads`, `NoWay`: none does."""
    answer = _decoded(body)
    members: list[list[int]] = [[] for _ in answer["matchings"]]
    for index, point in enumerate(answer["tracepoints"]):
        if point is not None:
            members[point["matchings_index"]].append(index)
    return [
        MatchedPiece(
            _way(matching),
            tuple(fixes),
            matching["confidence"],
            tuple(tuple(leg["annotation"].get("nodes", ())) for leg in matching["legs"]),
        )
        for matching, fixes in zip(answer["matchings"], members, strict=True)
    ]


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


def _decoded(body: bytes) -> Any:
    try:
        answer = orjson.loads(body)
        code = answer["code"]
    except (ValueError, KeyError, TypeError) as e:
        raise NoRoads("an answer that is not OSRM's") from e
    if code in _NO_WAY:
        raise NoWay(code)
    if code != "Ok":
        # NoSegment: nothing near; TooBig: a server of one's own with smaller limits.
        raise NoRoads(str(code))
    return answer


def _is_near(place: Any) -> bool:
    return bool(place is not None and place["distance"] <= SNAP_MAX_M)


def _blank(rows: Any, near: list[bool], columns: list[bool]) -> None:
    """No way leads to or from a place that is not on the graph."""
    for row, is_near in zip(rows, near, strict=True):
        for column, known in enumerate(columns):
            if not (is_near and known):
                row[column] = None


def _way(route: Any) -> Way:
    points = tuple((y, x) for x, y in route["geometry"]["coordinates"])
    if len(points) == 1:
        points *= 2
    legs = tuple(Leg(leg["duration"], leg["distance"]) for leg in route["legs"])
    step_s, step_m = _steps(points, route["legs"])
    return Way(points, step_s, step_m, legs, "roads")


def _steps(points: tuple[Point, ...], legs: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds and metres of each step of the line; time at turns lies on the steps of its leg."""
    step_s: list[float] = []
    step_m: list[float] = []
    for leg in legs:
        seconds = leg["annotation"]["duration"]
        rolling = sum(seconds)
        share = leg["duration"] / rolling if rolling else 0.0
        step_s += [s * share for s in seconds]
        step_m += leg["annotation"]["distance"]
    if len(step_m) == len(points) - 1:
        return tuple(step_s), tuple(step_m)
    # A line that leaves out a step without length: its time is shared by distance.
    metres = [distance_m(*a, *b) for a, b in pairwise(points)]
    whole = sum(metres)
    duration = sum(leg["duration"] for leg in legs)
    length = sum(leg["distance"] for leg in legs)
    shares = [m / whole if whole else 1 / len(metres) for m in metres]
    return tuple(duration * share for share in shares), tuple(length * share for share in shares)
