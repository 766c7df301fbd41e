"""The fold's state as bytes, exactly: what is loaded goes on as if it had never stopped."""

from collections.abc import Callable

import msgspec

from consumers.insight.fold.fold import Fold
from consumers.insight.fold.journey import Journey, Spot, spot
from consumers.insight.fold.results import BEGINNING_US, CellHour, Quarter
from consumers.insight.fold.rules import Rules
from consumers.insight.fold.sums import NO_CELL, Sums

CellOf = Callable[[float, float, int], int]
Point = tuple[int, float, float]


class FoldState(msgspec.Struct, array_like=True):
    """Everything a fold remembers between two fixes."""

    previous: Point
    anchor: Point
    reference: Point
    start: Point
    trip: tuple[float, int, float, int]
    stopped: bool
    near: int
    latitudes: float
    longitudes: float
    top: float
    sums: Sums


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FoldState).decode


def new_fold(rules: Rules, cell_of: CellOf | None, from_us: int = BEGINNING_US) -> Fold:
    """A fold before its first fix; it shows no sums of quarters that begin before `from_us`."""
    nowhere = Quarter(BEGINNING_US)
    cell = CellHour(BEGINNING_US, NO_CELL)
    return Fold(rules, Sums(from_us, nowhere, [], cell, [], []), cell_of)


def dump(fold: Fold) -> bytes:
    """The state of a fold that has seen a fix."""
    journey = fold.journey
    return _encode(
        FoldState(
            fold.previous[:3], fold.anchor[:3], fold.reference[:3], journey.start[:3],
            (journey.distance_m, journey.moving_us, journey.speed_max, journey.fixes),
            fold.stopped, fold.near, fold.latitudes, fold.longitudes, fold.top, fold.sums,
        )
    )  # fmt: skip


def load(state: bytes, rules: Rules, cell_of: CellOf | None) -> Fold:
    """The fold that was dumped. Raises `msgspec.DecodeError` when these are not its bytes."""
    read = _decode(state)
    # The current cell is one of the list, by identity: both are counted up as one.
    current = read.sums.cell
    for cell in read.sums.cells:
        if (cell.hour_us, cell.cell) == (current.hour_us, current.cell):
            read.sums.cell = cell
    fold = Fold(rules, read.sums, cell_of)
    fold.previous = spot(*read.previous)
    fold.anchor = _same(read.anchor, fold.previous)
    fold.reference = _same(read.reference, fold.previous)
    fold.journey = Journey(spot(*read.start), *read.trip)
    fold.stopped = read.stopped
    fold.near = read.near
    fold.latitudes = read.latitudes
    fold.longitudes = read.longitudes
    fold.top = read.top
    return fold


def _same(point: Point, known: Spot) -> Spot:
    return known if point == known[:3] else spot(*point)
