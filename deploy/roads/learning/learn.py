"""Learn speeds from the fleet's trips: match them, add up, judge, keep or drop.

The last day is not learned from before it has judged: the speeds concluded from all days before it
are kept only where they foretell its trips better than those in use. Then it becomes one of the
days that the next ones are foretold by.

The trips are matched on an engine of our own with the map's speeds, so that what was learned
yesterday does not lean on what was learned before.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache

from common.contract import Vehicle
from common.errors import FleetlineError
from common.roads.engine import RoadEngine
from common.roads.osrm import EngineAway, NoRoads
from common.roads.thin import thin
from common.roads.trace_match import match_trace
from common.roads.way import MatchedPiece
from common.settings import Settings
from deploy.roads.executables import RoadPrograms
from deploy.roads.graphs import Graph, GraphStore
from deploy.roads.learning.lessons import Lesson, LessonBook
from deploy.roads.learning.passes import Judgement, add_passes, judge
from deploy.roads.learning.speeds import SpeedSums, conclude
from deploy.roads.learning.writing import put_speeds, speeds_in_use
from deploy.roads.server import RoadServer, ServerSite
from deploy.roads.steps import RoadSteps
from deploy.tools.stack_database import stack_database, stack_databases

# Days back that are learned from where nothing was learned yet.
DAYS_BACK = 28


async def learn_all(
    settings: Settings,
    programs: RoadPrograms,
    store: GraphStore,
    vehicles: list[Vehicle],
    steps: RoadSteps,
) -> None:
    """Learn for each kind of vehicle. Raises `FleetlineError`."""
    today = datetime.now(UTC).date()
    async with AsyncExitStack() as opened:
        connection, *others = [
            await opened.enter_async_context(stack_database(settings, seat))
            for seat in stack_databases(settings)
        ]
        for vehicle in vehicles:
            graph, book = store.graph(vehicle), LessonBook(connection, vehicle, others)
            with steps.of(vehicle):
                days = await book.days(today - timedelta(days=DAYS_BACK), today)
                if not days:
                    steps.say(f"{vehicle}: no day with trips is left to learn from")
                    continue
                async with private_engine(programs, graph) as engine:
                    lesson = await _Learner(graph, book, engine, steps).learn(days)
            steps.say(f"{vehicle}: {_said(lesson)}")


class _Learner:
    """One kind of vehicle's lessons."""

    def __init__(
        self, graph: Graph, book: LessonBook, engine: RoadEngine, steps: RoadSteps
    ) -> None:
        self._graph = graph
        self._book = book
        self._engine = engine
        self._steps = steps

    async def learn(self, days: list[date]) -> Lesson:
        """Learn from these days, oldest first; what came of the last one."""
        sums = await self._book.sums()
        lessons = []
        for day in days[:-1]:
            seen, trips = SpeedSums(), 0
            ratios = conclude(sums)
            async for pieces in self._matched(day):
                add_passes(seen, pieces, ratios.of)
                trips += 1
            sums.age()
            sums.merge(seen)
            lessons.append(Lesson(day, trips, 0.0, None, None, kept=False))
        lesson, seen = await self._judge(days[-1], sums)
        sums.age()
        sums.merge(seen)
        await self._book.write(sums, [*lessons, lesson])
        return lesson

    async def _judge(self, day: date, sums: SpeedSums) -> tuple[Lesson, SpeedSums]:
        """Judge what was learned before `day` by its trips; what they say themselves."""
        ratios = conclude(sums)
        before, after = cache(speeds_in_use(self._graph)), cache(ratios.speeds)
        seen, trips = SpeedSums(), 0
        was, would_be = Judgement(), Judgement()
        async for pieces in self._matched(day):
            was += judge(pieces, before)
            would_be += judge(pieces, after)
            add_passes(seen, pieces, ratios.of)
            trips += 1
        judged = bool(sums.by_segment) and was.under_way_s > 0
        kept = judged and would_be.off_s < was.off_s
        if kept:
            put_speeds(self._graph, ratios, was.error, would_be.error)
        before_s, after_s = (was.off_s, would_be.off_s) if judged else (None, None)
        return Lesson(day, trips, was.under_way_s, before_s, after_s, kept), seen

    async def _matched(self, day: date) -> AsyncIterator[list[MatchedPiece]]:
        trips = 0
        async for trace in self._book.traces(day):
            trips += 1
            self._steps.show(f"trips of {day}", trips)
            try:
                yield await match_trace(self._engine, thin(trace), self._graph.vehicle, nodes=True)
            except EngineAway as e:
                raise FleetlineError("the engine that trips are matched on is gone") from e
            except NoRoads:
                # Elsewhere than the graph, or off the roads.
                continue


@asynccontextmanager
async def private_engine(programs: RoadPrograms, graph: Graph) -> AsyncIterator[RoadEngine]:
    """An engine with the map's own speeds, for the block."""
    server = RoadServer(ServerSite(f"learn-{graph.vehicle}", programs, _free_port()))
    await server.serve(graph.base)
    engine = RoadEngine({graph.vehicle: f"http://127.0.0.1:{server.site.port}"})
    try:
        yield engine
    finally:
        await engine.close()
        await server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _said(lesson: Lesson) -> str:
    if lesson.off_before_s is None or lesson.off_after_s is None:
        return f"{lesson.trips} trips of {lesson.day}; a day before it is needed to judge by it"
    before, after = (off / lesson.under_way_s for off in (lesson.off_before_s, lesson.off_after_s))
    verdict = "kept" if lesson.kept else "not kept: the speeds in use are better"
    return f"{lesson.trips} trips of {lesson.day}: off by {before:.1%}, now {after:.1%}; {verdict}"
