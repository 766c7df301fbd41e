"""Solvers, one for each core, and the line before them, which is short. Shell."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from consumers.planner.solving.solver import Solver

# Memory: a child with the solver's packages has 110 MB.
SOLVERS_MAX = 4
# Plans that wait, for each solver: whoever comes last waits for two others, 11 s each at most.
WAITING_PER_SOLVER = 2


class LineFull(Exception):
    """Too many plans are under way."""


class SolverPool:
    """Gives each plan a solver of its own for a while."""

    def __init__(self, solvers: Sequence[Solver] | None = None) -> None:
        self.solvers = solvers or [Solver() for _ in range(cores())]
        self._free: asyncio.LifoQueue[Solver] = asyncio.LifoQueue()
        self.waiting = 0

    @property
    def died(self) -> int:
        """How many children ended that nobody had ended."""
        return sum(solver.died for solver in self.solvers)

    def start(self) -> None:
        """Start the children; they are warm in a second or so."""
        for solver in self.solvers:
            solver.start()
            self._free.put_nowait(solver)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Solver]:
        """Wait for a solver, and have it for the block. Raises `LineFull`."""
        if self._free.empty() and self.waiting >= WAITING_PER_SOLVER * len(self.solvers):
            raise LineFull
        self.waiting += 1
        try:
            solver = await self._free.get()
        finally:
            self.waiting -= 1
        try:
            yield solver
        finally:
            self._free.put_nowait(solver)

    async def close(self) -> None:
        """End the children."""
        await asyncio.gather(*(solver.close() for solver in self.solvers))


def cores() -> int:
    """How many plans are solved at once."""
    return min(SOLVERS_MAX, len(os.sched_getaffinity(0)))
