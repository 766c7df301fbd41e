"""A problem as the solver takes it: whole numbers, each rounded so that what the solver finds in
time is in time. Pure.

The solver counts ticks. Travel and service are rounded up, windows inwards; so whoever follows its
order of visits is nowhere later than the solver says.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from math import ceil, floor

import msgspec

from consumers.planner.planning.problem import (
    FleetVehicle,
    Load,
    PlanProblem,
    PlanVisit,
    Span,
    Task,
)

# The solver's times have 32 bits. What has no way takes FAR_TICKS, which is past every window.
TICKS_MAX = 4_000_000_000
FAR_TICKS = 4_200_000_000
TICKS_PER_S_MAX = 1000.0
# Rounding of floating numbers that is none of the times'. In seconds.
_GRAIN_S = 1e-9
# Matrices that the solver is given, one for each factor of speed; each has 4 bytes a leg.
PROFILES_MAX = 8
# Stands for a capacity without a limit: more than 500 amounts of the largest size.
UNLIMITED = 10**15
# What is aboard must be brought; everything else comes after it.
PRIORITY_ABOARD, PRIORITY_MAX = 100, 99


class SolverVehicle(msgspec.Struct, array_like=True):
    """`number`: its place in the problem. `profile`: its place in `SolverQuestion.factors`."""

    number: int
    start: int
    end: int | None
    profile: int
    capacity: list[int]
    skills: list[int]
    window: tuple[int, int]
    jobs_max: int | None


class SolverVisit(msgspec.Struct, array_like=True):
    """`number`: its place in the problem."""

    number: int
    place: int
    service: int
    windows: list[tuple[int, int]]


class SolverTask(msgspec.Struct, array_like=True):
    """One visit: a job that brings and takes. Two: a pick-up and a delivery of `brought`."""

    visits: list[SolverVisit]
    brought: list[int]
    taken: list[int]
    skills: list[int]
    priority: int


class SolverQuestion(msgspec.Struct, array_like=True):
    """All of it. `durations`: seconds as doubles, row by row; infinite where there is no way."""

    side: int
    durations: bytes
    factors: list[float]
    ticks_per_s: float
    # Most visits and vehicles' ends that may cost a leg: sums of costs have 32 bits too.
    legs_max: int
    vehicles: list[SolverVehicle]
    tasks: list[SolverTask]
    search_ms: int


class SolverAnswer(msgspec.Struct, array_like=True):
    """Visits of each vehicle in their order, by their numbers; or what went wrong."""

    routes: list[tuple[int, list[int]]]
    error: str = ""


encode_question = msgspec.msgpack.Encoder().encode
decode_question = msgspec.msgpack.Decoder(SolverQuestion).decode
encode_answer = msgspec.msgpack.Encoder().encode
decode_answer = msgspec.msgpack.Decoder(SolverAnswer).decode


def question_of(problem: PlanProblem, tasks: Iterable[int], search_s: float) -> SolverQuestion:
    """What the solver is asked: to serve `tasks` of the problem."""
    return _Asking(problem, search_s).question([problem.tasks[index] for index in tasks])


class _Asking:
    def __init__(self, problem: PlanProblem, search_s: float) -> None:
        self._problem = problem
        self._search_s = search_s
        self._horizon_s = horizon_s(problem)
        self._ticks_per_s = min(TICKS_PER_S_MAX, TICKS_MAX / max(1.0, self._horizon_s))
        names: set[str | int] = set().union(*(task.skills for task in problem.tasks))
        self._skills = {name: n for n, name in enumerate(sorted(names, key=repr))}
        self._factors = factors_of(problem.vehicles)

    def question(self, tasks: Sequence[Task]) -> SolverQuestion:
        asked = [task for given in tasks if (task := self._task(given)) is not None]
        vehicles = [
            vehicle
            for number, given in enumerate(self._problem.vehicles)
            if (vehicle := self._vehicle(number, given)) is not None
        ]
        visits = sum(len(task.visits) for task in asked)
        flat = array("d")
        for row in self._problem.durations_s:
            flat.extend(float("inf") if seconds is None else seconds for seconds in row)
        return SolverQuestion(
            side=len(self._problem.durations_s),
            durations=flat.tobytes(),
            factors=self._factors,
            ticks_per_s=self._ticks_per_s,
            legs_max=visits + 2 * len(vehicles) + 1,
            vehicles=vehicles,
            tasks=asked,
            search_ms=int(self._search_s * 1000),
        )

    def _vehicle(self, number: int, vehicle: FleetVehicle) -> SolverVehicle | None:
        window = self._inwards((vehicle.begin_s, vehicle.until_s))
        if window is None or vehicle.jobs_max == 0:
            return None
        held = vehicle.held
        capacity = vehicle.capacity or (UNLIMITED,) * len(held)
        skills = {self._skills[name] for name in vehicle.skills if name in self._skills}
        return SolverVehicle(
            number=number,
            start=vehicle.start,
            end=vehicle.end,
            profile=bisect_right(self._factors, vehicle.speed_factor) - 1,
            capacity=[max(0, most - less) for most, less in zip(capacity, held, strict=True)],
            skills=[*skills, self._own_skill(number)],
            window=window,
            jobs_max=vehicle.jobs_max,
        )

    def _own_skill(self, vehicle: int) -> int:
        """The skill that this vehicle alone has: what is pinned to it wants it."""
        return len(self._skills) + vehicle

    def _task(self, task: Task) -> SolverTask | None:
        visits = [visit for given in task.visits if (visit := self._visit(given)) is not None]
        if len(visits) < len(task.visits):
            return None
        brought, taken = _amounts(task)
        skills = [self._skills[name] for name in task.skills]
        if task.vehicle is not None:
            skills.append(self._own_skill(task.vehicle))
        priority = PRIORITY_ABOARD if task.aboard else min(task.priority, PRIORITY_MAX)
        return SolverTask(visits, list(brought), list(taken), skills, priority)

    def _visit(self, visit: PlanVisit) -> SolverVisit | None:
        """None where no window is left of a tick's length."""
        windows = [window for span in visit.windows if (window := self._inwards(span)) is not None]
        if visit.windows and not windows:
            return None
        service = ceil((visit.service_s - _GRAIN_S) * self._ticks_per_s)
        return SolverVisit(visit.number, visit.place, max(0, service), windows)

    def _inwards(self, span: Span) -> tuple[int, int] | None:
        begin_s, end_s = max(0.0, span[0]), min(span[1], self._horizon_s)
        begin = ceil((begin_s - _GRAIN_S) * self._ticks_per_s)
        end = floor((end_s + _GRAIN_S) * self._ticks_per_s)
        return (max(0, begin), end) if max(0, begin) <= end else None


def _amounts(task: Task) -> tuple[Load, Load]:
    """What is brought and what is taken; of a shipment the first is what is carried."""
    if len(task.visits) == 2:
        return task.visits[0].change, (0,) * len(task.loaded)
    [visit] = task.visits
    taken = tuple(a + b for a, b in zip(visit.change, task.loaded, strict=True))
    return task.loaded, taken


def horizon_s(problem: PlanProblem) -> float:
    """When the last of all stops is done at the latest, whoever makes it: nothing matters later."""
    begins = [vehicle.begin_s for vehicle in problem.vehicles]
    begins += [begin for visit in problem.visits for begin, _ in visit.windows]
    longest_s = max((s for row in problem.durations_s for s in row if s is not None), default=0.0)
    slowest = min(vehicle.speed_factor for vehicle in problem.vehicles)
    legs_s = (len(problem.visits) + 1) * longest_s / slowest
    return max(begins) + legs_s + sum(visit.service_s for visit in problem.visits) + 1.0


def factors_of(vehicles: Sequence[FleetVehicle]) -> list[float]:
    """Factors of speed that the solver knows, rising; a vehicle has the next one below its own."""
    known = sorted({vehicle.speed_factor for vehicle in vehicles})
    return known[:: -(-len(known) // PROFILES_MAX)]
