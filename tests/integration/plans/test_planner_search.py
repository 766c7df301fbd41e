"""Plans by the real solver, in this process: nothing that is asked for makes one that may not be
sent, whatever stands in the way.
"""

import asyncio
import random
from typing import Any

import pytest

from bench.plans.random_bodies import KINDS, random_body
from consumers.planner.planning.checker import violations
from consumers.planner.search import Found, search
from consumers.planner.solving.question import SolverAnswer, SolverQuestion
from tests.roles.plans import problem_of

solving = pytest.importorskip("consumers.planner.solving.vroom_model")
# Of each kind; `python -m bench.plans` makes a thousand in all.
EACH = 40


class SolverHere:
    """Stands for a child."""

    async def ask(self, question: SolverQuestion, _timeout_s: float) -> SolverAnswer:
        """The answer, at once."""
        answer: SolverAnswer = solving.solve(question, levels=solving.LEVELS[:1])
        return answer


def found(body: dict[str, Any]) -> Found:
    """A plan that the checker finds nothing in."""
    made = asyncio.run(search(problem_of(body), SolverHere(), 1.0))  # type: ignore[arg-type]
    assert violations(made.problem, made.plan) == []
    return made


def stops(made: Found) -> list[list[tuple[str, str | None]]]:
    return [[(stop.kind, stop.task_id) for stop in route.stops] for route in made.plan.routes]


@pytest.mark.parametrize("kind", KINDS)
def test_plans_at_random_keep_all_rules(kind: str) -> None:
    dice, served = random.Random(kind), 0
    for _ in range(EACH):
        made = found(random_body(dice, kind))
        served += len(made.problem.tasks) - len(made.plan.left_over)
    assert served > EACH


MATRIX = {"durations_s": [[abs(a - b) * 100 for b in range(6)] for a in range(6)]}


def at(n: int, **more: Any) -> dict[str, Any]:
    return {"at": {"index": n}, **more}


def test_what_is_aboard_is_delivered_by_its_vehicle_and_not_picked_up() -> None:
    vehicles = [{"id": f"v{n}", "start": {"index": n * 5}, "capacity": [2]} for n in range(2)]
    shipments = [
        {"id": "far", "delivery": at(4), "amount": 1},
        {"id": "near", "pickup": at(1), "delivery": at(2), "amount": 2},
    ]
    vehicles[0]["aboard"] = ["far"]
    made = found({"vehicles": vehicles, "shipments": shipments, "matrix": MATRIX})
    assert made.plan.left_over == ()
    [first] = [route for route in made.plan.routes if route.vehicle == 0]
    assert ("delivery", "far") in [(stop.kind, stop.task_id) for stop in first.stops]
    assert ("pickup", "far") not in [(stop.kind, stop.task_id) for stop in first.stops]
    assert first.stops[0].load == (1,)


def test_what_is_aboard_and_too_late_stays_aboard_and_takes_its_room() -> None:
    late = {"id": "late", "delivery": at(5, windows=[[0, 10]]), "amount": 1}
    body = {
        "vehicles": [{"id": "v", "start": {"index": 0}, "capacity": [2], "aboard": ["late"]}],
        "jobs": [
            {"id": "large", **at(1), "delivery": [2]},
            {"id": "small", **at(2), "pickup": [1]},
        ],
        "shipments": [late],
        "matrix": MATRIX,
    }
    made = found(body)
    assert dict(made.plan.left_over) == {"late": "window_cannot_be_met", "large": "too_large"}
    [route] = made.plan.routes
    assert [stop.load for stop in route.stops] == [(1,), (2,)]


def test_of_two_things_aboard_that_exclude_each_other_one_stays() -> None:
    shipments = [
        {"id": "left", "delivery": at(0, windows=[[0, 300]]), "amount": 1},
        {"id": "right", "delivery": at(5, windows=[[0, 300]]), "amount": 1},
        {"id": "new", "pickup": at(3), "delivery": at(2), "amount": 2},
    ]
    vehicle = {"id": "v", "start": {"index": 2}, "capacity": [2], "aboard": ["left", "right"]}
    made = found({"vehicles": [vehicle], "shipments": shipments, "matrix": MATRIX})
    left = dict(made.plan.left_over)
    assert len(left.keys() & {"left", "right"}) == 1
    # With one of them aboard there is no room for two more.
    assert left["new"] == "too_large"


def test_the_highest_priority_goes_first() -> None:
    jobs = [{"id": f"j{n}", **at(n + 1), "delivery": [1], "priority": n * 20} for n in range(5)]
    vehicle = {"id": "v", "start": {"index": 0}, "capacity": [2]}
    made = found({"vehicles": [vehicle], "jobs": jobs, "matrix": MATRIX})
    assert {name for name, _ in made.plan.left_over} == {"j0", "j1", "j2"}
    assert {reason for _, reason in made.plan.left_over} == {"no_room"}


def test_nothing_to_do_is_a_plan() -> None:
    vehicle = {"id": "v", "start": {"index": 0}}
    assert found({"vehicles": [vehicle], "matrix": MATRIX}).plan.routes == ()
    idle = found({"vehicles": [vehicle | {"max_jobs": 0}], "jobs": [{"id": "j", **at(1)}],
                  "matrix": MATRIX})  # fmt: skip
    assert idle.plan.left_over == (("j", "no_room"),)


def test_a_plan_of_the_largest_size_is_made() -> None:
    dice = random.Random(3)
    points = [(dice.uniform(0, 3000), dice.uniform(0, 3000)) for _ in range(700)]
    rows = [[abs(a[0] - b[0]) + abs(a[1] - b[1]) for b in points] for a in points]
    vehicles = [
        {"id": f"v{n}", "start": {"index": n}, "end": {"index": 100 + n}, "capacity": [10]}
        for n in range(100)
    ]
    jobs = [{"id": f"j{n}", **at(200 + n), "delivery": [1], "service_s": 60} for n in range(500)]
    made = found({"vehicles": vehicles, "jobs": jobs, "matrix": {"durations_s": rows}})
    assert made.plan.left_over == ()
    assert sum(len(route) for route in stops(made)) == 500 + 2 * len(made.plan.routes)
