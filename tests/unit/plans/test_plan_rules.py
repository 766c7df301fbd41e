"""When a route holds, why something is left over, and how the solver's numbers are rounded."""

import random
from itertools import permutations
from math import floor, inf
from typing import Any

import pytest

from bench.plans.random_bodies import KINDS, random_body
from common.plans.answer import UnassignedReason
from consumers.planner.planning.problem import PlanProblem
from consumers.planner.planning.reasons import impossible, reason_of
from consumers.planner.planning.timetable import timetable
from consumers.planner.solving.question import (
    FAR_TICKS,
    PROFILES_MAX,
    TICKS_MAX,
    SolverQuestion,
    factors_of,
    horizon_s,
    question_of,
)
from tests.roles.plans import problem_of

LINE = {"durations_s": [[abs(a - b) * 100 for b in range(5)] for a in range(5)]}


def line(vehicle: dict[str, Any], *jobs: dict[str, Any], **more: Any) -> PlanProblem:
    """Places on a line, 100 s apart; the vehicle starts at the first."""
    vehicles = [{"id": "v", "start": {"index": 0}, **vehicle}]
    named = [{"id": f"j{n}", "at": {"index": 1}, **job} for n, job in enumerate(jobs)]
    return problem_of({"vehicles": vehicles, "jobs": named, "matrix": LINE, **more})


def test_times_add_up_and_waits_are_spent_at_the_start() -> None:
    problem = line(
        {"end": {"index": 0}, "speed_factor": 2},
        {"service_s": 10, "windows": [[500, 600]]},
        {"at": {"index": 3}, "service_s": 20},
    )
    table = timetable(problem, problem.vehicles[0], problem.visits)
    assert table is not None
    # 50 s to the first, whose window opens at 500: it leaves 50 s before.
    assert table.begin_s == pytest.approx(450)
    assert [call.arrival_s for call in table.calls] == pytest.approx([500, 610])
    assert (table.end_s, table.travel_s) == pytest.approx((780, 300))


def test_it_waits_where_leaving_later_would_miss_a_window() -> None:
    problem = line(
        {}, {"windows": [[0, 150]]}, {"at": {"index": 2}, "windows": [[400, 500], [900, 950]]}
    )
    table = timetable(problem, problem.vehicles[0], problem.visits)
    assert table is not None
    assert table.begin_s == pytest.approx(50)
    assert [call.wait_s for call in table.calls] == pytest.approx([0, 150])


def test_what_cannot_be_in_time_has_no_timetable() -> None:
    late = line({}, {"at": {"index": 2}, "windows": [[0, 150]]})
    assert timetable(late, late.vehicles[0], late.visits) is None
    over = line({"shift": [0, 250], "end": {"index": 0}}, {"at": {"index": 2}})
    assert timetable(over, over.vehicles[0], over.visits) is None
    just = line({"shift": [0, 200], "end": {"index": 0}}, {})
    assert timetable(just, just.vehicles[0], just.visits) is not None


@pytest.mark.parametrize("seed", range(20))
def test_leaving_late_is_never_later_at_the_end_and_keeps_every_window(seed: int) -> None:
    dice = random.Random(seed)
    problem = problem_of(random_body(dice, "tight"))
    for vehicle in problem.vehicles:
        visits = problem.visits
        dice.shuffle(visits)
        table = timetable(problem, vehicle, visits[: dice.randint(1, 4)])
        if table is None or not table.calls:
            continue
        early_s, place = vehicle.begin_s, vehicle.start
        for call in table.calls:
            leg_s = problem.leg_s(vehicle, place, call.visit.place)
            assert leg_s is not None
            early_s += leg_s
            spans = call.visit.windows or ((-inf, inf),)
            early_s = next(max(early_s, a) for a, b in spans if early_s <= b + 1e-6)
            at_s = call.arrival_s + call.wait_s
            assert any(a - 1e-6 <= at_s <= b + 1e-6 for a, b in spans)
            assert at_s >= early_s - 1e-6
            early_s, place = early_s + call.visit.service_s, call.visit.place
        if vehicle.end is not None:
            early_s += problem.leg_s(vehicle, place, vehicle.end) or 0
        assert table.end_s == pytest.approx(early_s, abs=1e-5)


REASONS: list[tuple[dict[str, Any], dict[str, Any], UnassignedReason]] = [
    ({}, {"skills": ["cold"]}, UnassignedReason.NO_SKILLS),
    ({"skills": ["cold"]}, {"skills": ["cold", "bike"]}, UnassignedReason.NO_SKILLS),
    ({"capacity": [2]}, {"delivery": [3]}, UnassignedReason.TOO_LARGE),
    ({"capacity": [2]}, {"pickup": [3]}, UnassignedReason.TOO_LARGE),
    ({"start": {"index": 4}}, {"at": {"index": 0}}, UnassignedReason.NO_WAY),
    ({"end": {"index": 4}}, {}, UnassignedReason.NO_WAY),
    ({}, {"at": {"index": 3}, "windows": [[0, 200]]}, UnassignedReason.WINDOW),
    ({"shift": [0, 90]}, {}, UnassignedReason.WINDOW),
    ({"shift": [0, 150], "end": {"index": 0}}, {}, UnassignedReason.WINDOW),
    ({"max_jobs": 0}, {}, UnassignedReason.NO_ROOM),
]


@pytest.mark.parametrize(("vehicle", "job", "reason"), REASONS, ids=str)
def test_a_reason_is_what_stands_in_the_way(
    vehicle: dict[str, Any], job: dict[str, Any], reason: UnassignedReason
) -> None:
    # An island: nothing leads to the last place, nor away from it.
    rows = [[None if 4 in {a, b} and a != b else s for b, s in enumerate(row)]
            for a, row in enumerate(LINE["durations_s"])]  # fmt: skip
    problem = line(vehicle, job, matrix={"durations_s": rows})
    assert impossible(problem, problem.tasks[0]) is reason


def test_what_could_be_served_alone_has_found_no_room() -> None:
    problem = line({}, {})
    assert impossible(problem, problem.tasks[0]) is None
    assert reason_of(problem, problem.tasks[0]) is UnassignedReason.NO_ROOM


def test_what_stays_aboard_takes_room() -> None:
    end = {"at": {"index": 2}, "windows": [[0, 10]]}
    problem = line(
        {"capacity": [3], "aboard": ["s"]},
        {"delivery": [2]},
        shipments=[{"id": "s", "delivery": end, "amount": 2}],
    )
    job, aboard = problem.tasks
    assert impossible(problem, aboard) is UnassignedReason.WINDOW
    assert impossible(problem, job) is None
    held = problem.holding([problem.tasks.index(aboard)])
    assert impossible(held, job) is UnassignedReason.TOO_LARGE


def drive_in_ticks(question: SolverQuestion, vehicle: int, order: list[int]) -> bool:
    """Whether the solver, who counts ticks, would find this order in time."""
    asked = next((v for v in question.vehicles if v.number == vehicle), None)
    visits = {visit.number: visit for task in question.tasks for visit in task.visits}
    if asked is None or not visits.keys() >= set(order):
        return False
    seconds = memoryview(question.durations).cast("d")
    factor = question.factors[asked.profile]
    now, place = asked.window[0], asked.start
    for stop in [*(visits[number] for number in order), asked.end]:
        if stop is None:
            continue
        to = stop if isinstance(stop, int) else stop.place
        leg_s = 0.0 if to == place else seconds[place * question.side + to]
        now += FAR_TICKS if leg_s == inf else max(
            0, -floor(-(leg_s / factor - 1e-9) * question.ticks_per_s)
        )  # fmt: skip
        place = to
        if not isinstance(stop, int):
            spans = stop.windows or [(0, TICKS_MAX)]
            begin = next((max(now, a) for a, b in spans if now <= b), None)
            if begin is None:
                return False
            now = begin + stop.service
    return now <= asked.window[1]


@pytest.mark.parametrize("kind", KINDS)
def test_an_order_that_is_in_time_for_the_solver_is_in_time(kind: str) -> None:
    dice, held = random.Random(kind), 0
    for _ in range(12):
        problem = problem_of(random_body(dice, kind))
        question = question_of(problem, range(len(problem.tasks)), 1.0)
        assert question.ticks_per_s * horizon_s(problem) <= TICKS_MAX
        numbers = [visit.number for visit in problem.visits][:4]
        for order in permutations(numbers, min(3, len(numbers))):
            for index, vehicle in enumerate(problem.vehicles):
                if drive_in_ticks(question, index, list(order)):
                    held += 1
                    visits = [problem.visits[number] for number in order]
                    assert timetable(problem, vehicle, visits) is not None
    assert held > 10


def test_many_speeds_are_some_that_are_never_faster() -> None:
    rows = [{"id": f"v{n}", "start": {"index": 0}, "speed_factor": 1 + n / 100} for n in range(60)]
    problem = problem_of(
        {"vehicles": rows, "matrix": LINE, "jobs": [{"id": "j", "at": {"index": 1}}]}
    )
    assert len(factors_of(problem.vehicles)) <= PROFILES_MAX
    question = question_of(problem, [0], 1.0)
    for vehicle in question.vehicles:
        assert question.factors[vehicle.profile] <= problem.vehicles[vehicle.number].speed_factor
