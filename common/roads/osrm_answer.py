"""The parts of OSRM's answers that are read, as types: what comes is judged before it is used.

The engine may be anybody's, at the end of a URL that a person has typed.
"""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from common.event import Latitude, Longitude

Seconds = Annotated[float, Meta(ge=0)]
Metres = Annotated[float, Meta(ge=0)]
# By so much a distance in a table may be below nothing: OSRM counts tenths of seconds, and takes
# one place for the other within one of them. That far a car gets on no road; what is more is wrong.
ROUNDED_M_MAX = 5.0


class Said(msgspec.Struct):
    """What every answer has: `Ok`, or what is wrong."""

    code: str


class Snapped(msgspec.Struct, gc=False):
    """A place on a road, and how far it was moved to be there."""

    distance: Metres


Places = list[Snapped | None]


class TableAnswer(msgspec.Struct):
    """From each source (a row) to each destination."""

    sources: Places
    destinations: Places
    durations: list[list[Seconds | None]]
    distances: list[list[Metres | None]]


class RoundedTable(TableAnswer):
    """The same, as OSRM has it where one place lies a little behind the other in the same street:
    it says that they are -0.2 m from each other.
    """

    distances: list[list[Annotated[float, Meta(ge=-ROUNDED_M_MAX)] | None]]


class Annotation(msgspec.Struct):
    """Each step of a leg."""

    duration: list[Seconds]
    distance: list[Metres]
    nodes: list[int] = []


class AnsweredLeg(msgspec.Struct):
    """From one of the places to the next."""

    duration: Seconds
    distance: Metres
    annotation: Annotation


class AnsweredLine(msgspec.Struct):
    """A GeoJSON LineString, which OSRM lets have a single place."""

    coordinates: Annotated[list[tuple[Longitude, Latitude]], Meta(min_length=1)]


class AnsweredRoute(msgspec.Struct):
    """A way through all places."""

    geometry: AnsweredLine
    legs: list[AnsweredLeg]


class RouteAnswer(msgspec.Struct):
    """The places and the ways; the first is the quickest."""

    waypoints: Places
    routes: list[AnsweredRoute]


class Matching(msgspec.Struct):
    """A part of a trace that follows roads."""

    geometry: AnsweredLine
    legs: list[AnsweredLeg]
    confidence: float


class Tracepoint(msgspec.Struct, gc=False):
    """The matching that a fix is part of."""

    matchings_index: Annotated[int, Meta(ge=0)]


class MatchAnswer(msgspec.Struct):
    """For each fix its place, None for one that follows no road."""

    tracepoints: list[Tracepoint | None]
    matchings: list[Matching]


Answer = TypeVar("Answer", TableAnswer, RoundedTable, RouteAnswer, MatchAnswer)
_decode_said = msgspec.json.Decoder(Said).decode
_decoders: dict[type[Any], Any] = {
    kind: msgspec.json.Decoder(kind).decode
    for kind in (TableAnswer, RoundedTable, RouteAnswer, MatchAnswer)
}


def said(body: bytes) -> str:
    """The code of an answer. Raises `common.event.MALFORMED`."""
    return _decode_said(body).code


def answer_in(body: bytes, kind: type[Answer]) -> Answer:
    """All that is read of an answer. Raises `common.event.MALFORMED`."""
    answer: Answer = _decoders[kind](body)
    return answer
