"""A driver's sums by quarter of an hour and by cell and hour, as far as they may still change.

Moves near the anchor are *pending*: they count as driven until the driver has stood there for
STOP_MIN_S, which makes them noise of a stop. So quarters since the anchor stay open; older ones
are closed, and no later fix changes them.
"""

from collections.abc import Iterator
from copy import copy

import msgspec

from consumers.insight.fold.results import HOUR_US, QUARTER_US, CellHour, Quarter

NO_CELL = 0
FOREVER_US = 1 << 62


class Part(msgspec.Struct, array_like=True, gc=False):
    """Pending moves within one quarter and one cell."""

    quarter_us: int
    cell: int
    distance_m: float = 0.0
    moving_us: int = 0
    over_limit_us: int = 0
    speed_max: float = -1.0


class Sums(msgspec.Struct, array_like=True):
    """The open sums. Times are microseconds; fixes come in their order."""

    # Quarters that begin before it are somebody else's: they are neither closed nor shown.
    from_us: int
    quarter: Quarter
    older: list[Quarter]
    cell: CellHour
    cells: list[CellHour]
    pending: list[Part]

    @property
    def edge_us(self) -> int:
        """When the current quarter ends."""
        return self.quarter.start_us + QUARTER_US

    def enter(self, at_us: int, cell: int) -> None:
        """Count what follows for this cell."""
        hour_us = at_us - at_us % HOUR_US
        if cell == self.cell.cell and hour_us == self.cell.hour_us:
            return
        self.cell.changed = True
        self.cell = self._cell(hour_us, cell)

    def turn(
        self, before_us: int, at_us: int, keep_us: int
    ) -> tuple[list[Quarter], list[CellHour]]:
        """Time went on without a gap past the edge; what closes is what began before `keep_us`."""
        quarter = self.quarter
        quarter.last_us = before_us if quarter.fixes else -1
        quarter.tracked_us += self.edge_us - before_us
        while at_us >= self.edge_us:
            self.older.append(self.quarter)
            self.quarter = Quarter(self.edge_us, tracked_us=QUARTER_US)
        self.quarter.tracked_us = at_us - self.quarter.start_us
        self.quarter.first_us = at_us
        self.enter(at_us, self.cell.cell)
        return self._close(keep_us - keep_us % QUARTER_US)

    def begin(self, before_us: int, at_us: int) -> tuple[list[Quarter], list[CellHour]]:
        """The first fix, or the first after a gap: all that went before may close."""
        start_us = at_us - at_us % QUARTER_US
        self.cell.changed = True
        if start_us == self.quarter.start_us:
            return self._close(start_us)
        if self.quarter.fixes:
            self.quarter.last_us = before_us
            self.older.append(self.quarter)
        self.quarter = Quarter(start_us, first_us=at_us)
        return self._close(start_us)

    def _close(self, keep_us: int) -> tuple[list[Quarter], list[CellHour]]:
        quarters = [q for q in self.older if self.from_us <= q.start_us < keep_us]
        self.older = [q for q in self.older if q.start_us >= keep_us]
        hour_us = keep_us - keep_us % HOUR_US
        cells: list[CellHour] = []
        if any(c.hour_us < hour_us for c in self.cells):
            cells = [
                unmarked(c)
                for c in self.cells
                if self.from_us <= c.hour_us < hour_us and c.cell and c.changed
            ]
            self.cells = [c for c in self.cells if c.hour_us >= hour_us]
        return quarters, cells

    def move(
        self, start_us: int, end_us: int, distance_m: float, *, over: bool, top: float
    ) -> None:
        """Count a move that surely was one; it ended in the current quarter and cell."""
        quarter, moving_us = self.quarter, end_us - start_us
        quarter.distance_m += distance_m
        quarter.speed_max = max(quarter.speed_max, top)
        self.cell.distance_m += distance_m
        self.cell.moving_us += moving_us
        for key_us, part_us in spread(start_us, end_us):
            whose = quarter if key_us == quarter.start_us else self._older(key_us)
            whose.moving_us += part_us
            whose.over_limit_us += part_us * over

    def wander(
        self, start_us: int, end_us: int, distance_m: float, *, over: bool, top: float
    ) -> None:
        """Count a move near the anchor, which may turn out to be noise."""
        for key_us, part_us in spread(start_us, end_us):
            part = self._part(key_us)
            part.moving_us += part_us
            part.over_limit_us += part_us * over
        part = self._part(self.quarter.start_us)
        part.distance_m += distance_m
        part.speed_max = max(part.speed_max, top)

    def settle(self) -> None:
        """The driver went on: pending moves were moves."""
        for part in self.pending:
            quarter = self._older(part.quarter_us)
            _add(quarter, part)
            cell = self._cell(part.quarter_us - part.quarter_us % HOUR_US, part.cell)
            cell.distance_m += part.distance_m
            cell.moving_us += part.moving_us
            cell.changed = True
        self.pending = []

    def stop_at(self, at_us: int, cell: int) -> None:
        """A stop began; pending moves were none."""
        for part in self.pending:
            self._cell(part.quarter_us - part.quarter_us % HOUR_US, part.cell).changed = True
        self.pending = []
        began = self._cell(at_us - at_us % HOUR_US, cell)
        began.stops += 1
        began.changed = True

    def open(self, last_us: int) -> tuple[list[Quarter], list[CellHour]]:
        """What is open, as it stands after the fix at `last_us`; of cells what has changed."""
        quarters = [copy(q) for q in (*self.older, self.quarter)]
        if self.quarter.fixes:
            quarters[-1].last_us = last_us
        # The current cell is counted up without a word.
        self.cell.changed = True
        cells = {(c.hour_us, c.cell): unmarked(c) for c in self.cells if c.changed}
        for part in self.pending:
            _add(next(q for q in quarters if q.start_us == part.quarter_us), part)
            key = part.quarter_us - part.quarter_us % HOUR_US, part.cell
            if key not in cells:
                cells[key] = unmarked(self._cell(*key))
            cells[key].distance_m += part.distance_m
            cells[key].moving_us += part.moving_us
        for cell in self.cells:
            cell.changed = False
        return (
            [q for q in quarters if q.start_us >= self.from_us],
            [c for c in cells.values() if c.hour_us >= self.from_us and c.cell != NO_CELL],
        )

    def _older(self, start_us: int) -> Quarter:
        if start_us == self.quarter.start_us:
            return self.quarter
        return next(q for q in reversed(self.older) if q.start_us == start_us)

    def _part(self, quarter_us: int) -> Part:
        cell = self.cell.cell
        for part in reversed(self.pending):
            if part.quarter_us == quarter_us and part.cell == cell:
                return part
        self._cell(quarter_us - quarter_us % HOUR_US, cell)
        self.pending.append(Part(quarter_us, cell))
        return self.pending[-1]

    def _cell(self, hour_us: int, cell: int) -> CellHour:
        for known in reversed(self.cells):
            if known.cell == cell and known.hour_us == hour_us:
                return known
        self.cells.append(CellHour(hour_us, cell, changed=True))
        return self.cells[-1]


def unmarked(cell: CellHour) -> CellHour:
    """A copy as it is stored."""
    found = copy(cell)
    found.changed = False
    return found


def spread(start_us: int, end_us: int) -> Iterator[tuple[int, int]]:
    """The quarters that an interval touches, each with its share of it."""
    while True:
        quarter_us = start_us - start_us % QUARTER_US
        edge_us = quarter_us + QUARTER_US
        if end_us < edge_us:
            yield quarter_us, end_us - start_us
            return
        yield quarter_us, edge_us - start_us
        start_us = edge_us


def _add(quarter: Quarter, part: Part) -> None:
    quarter.distance_m += part.distance_m
    quarter.moving_us += part.moving_us
    quarter.over_limit_us += part.over_limit_us
    quarter.speed_max = max(quarter.speed_max, part.speed_max)
