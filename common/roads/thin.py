"""Fixes that a trace is matched by: fewer, and none that only trembles. Pure.

Dense and noisy traces match worse than sparse ones: with a fix a second, 20 m off, a fifth of the
length is wrong, since the matcher follows each jitter into side streets and back. A fix some
seconds and some metres further on says more.
"""

from collections.abc import Iterable
from typing import NamedTuple

from common.geo.sphere import distance_m

# Least time and way between two fixes that are kept, and so many times what they say they are off.
# OSRM's authors advise about ten a minute.
STEP_S, STEP_M = 5.0, 25.0
STEP_ACCURACIES = 2.0
# A fix that says it is farther off than this says nothing about streets.
ACCURACY_MAX_M = 100.0
# Nobody drives faster (200 km/h, as for distances); so many of them in a row are a new place.
SPEED_MAX_MPS = 200 / 3.6
JUMPS_MAX = 3
# Without a fix for longer than this nobody can tell which way was taken.
GAP_S = 180.0


class TraceFix(NamedTuple):
    """A fix of a trace: epoch seconds, degrees, metres (None: it does not say)."""

    at_s: float
    latitude: float
    longitude: float
    accuracy_m: float | None = None


class Thinning:
    """Takes a trace's fixes in order of time, and keeps those that matching needs."""

    def __init__(self) -> None:
        self._pieces: list[list[TraceFix]] = [[]]
        self._jumps = 0

    @property
    def pieces(self) -> list[list[TraceFix]]:
        """What is kept so far: stretches without a gap, of two fixes or more."""
        return [piece for piece in self._pieces if len(piece) > 1]

    def add(self, fix: TraceFix) -> None:
        """The next fix."""
        if (fix.accuracy_m or 0.0) > ACCURACY_MAX_M:
            return
        piece = self._pieces[-1]
        if not piece:
            piece.append(fix)
            return
        last = piece[-1]
        passed_s = fix.at_s - last.at_s
        moved_m = distance_m(fix.latitude, fix.longitude, last.latitude, last.longitude)
        if passed_s <= GAP_S and moved_m > SPEED_MAX_MPS * max(passed_s, 1.0):
            self._jumps += 1
            if self._jumps <= JUMPS_MAX:
                return
        elif passed_s <= GAP_S:
            self._jumps = 0
            step_m = max(STEP_M, STEP_ACCURACIES * (fix.accuracy_m or 0.0))
            if passed_s >= STEP_S and moved_m >= step_m:
                piece.append(fix)
            return
        self._jumps = 0
        self._pieces.append([fix])


def thin(trace: Iterable[TraceFix]) -> list[list[TraceFix]]:
    """The pieces of a whole trace, which is in order of time."""
    thinning = Thinning()
    for fix in trace:
        thinning.add(fix)
    return thinning.pieces
