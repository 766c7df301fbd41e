"""A trace matched to the roads, piece by piece.

OSRM's matching ignores time, so a leg that nobody can have driven in its time is left out here.
"""

from collections.abc import Sequence

from common.contract import Vehicle
from common.roads.engine import RoadEngine
from common.roads.osrm import MATCH_POINTS_MAX, NoRoads
from common.roads.thin import SPEED_MAX_MPS, TraceFix
from common.roads.way import MatchedLeg, MatchedPiece


async def match_trace(
    engine: RoadEngine,
    pieces: Sequence[Sequence[TraceFix]],
    vehicle: Vehicle,
    *,
    nodes: bool = False,
) -> list[MatchedPiece]:
    """What of a thinned trace follows roads, in order. Raises `NoRoads`, also where nothing does:

    a graph that lacks the city, most likely.
    """
    found: list[MatchedPiece] = []
    for piece in pieces:
        matched: list[MatchedPiece] = []
        for part in overlapping(piece, MATCH_POINTS_MAX):
            matched += await engine.match(part, vehicle, nodes=nodes)
        for whole in joined(matched):
            found += possible(whole)
    if pieces and not found:
        raise NoRoads("nothing follows roads")
    return found


def overlapping(fixes: Sequence[TraceFix], most: int) -> list[Sequence[TraceFix]]:
    """Parts of `most` at most; each begins with the last of the one before."""
    return [fixes[first : first + most] for first in range(0, len(fixes) - 1, most - 1)]


def joined(pieces: Sequence[MatchedPiece]) -> list[MatchedPiece]:
    """Pieces that meet at one fix made one."""
    found: list[MatchedPiece] = []
    for piece in pieces:
        if not piece.legs:
            continue
        if found and found[-1].legs[-1].end_s == piece.legs[0].begin_s:
            before = found.pop()
            confidence = min(before.confidence, piece.confidence)
            found.append(MatchedPiece((*before.legs, *piece.legs), confidence))
        else:
            found.append(piece)
    return found


def possible(piece: MatchedPiece) -> list[MatchedPiece]:
    """The piece without the legs that nobody can have driven in their time: cut there."""
    runs: list[list[MatchedLeg]] = [[]]
    for leg in piece.legs:
        if leg.distance_m > SPEED_MAX_MPS * max(leg.end_s - leg.begin_s, 1.0):
            runs.append([])
        else:
            runs[-1].append(leg)
    return [MatchedPiece(tuple(run), piece.confidence) for run in runs if run]
