"""What a plan may be asked for with: every fault is named with its place."""

import copy
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from common.errors import InvalidUpdate
from common.plans.messages import DriverOfOrder, LookedUp
from consumers.planner.reading.keeping import look_up_for
from consumers.planner.reading.plan import draft_of, read_plan
from tests.roles.plans import NOW, problem_of

HERE, THERE = {"latitude": 53.4, "longitude": -2.99}, {"latitude": 53.41, "longitude": -2.98}
GOOD: dict[str, Any] = {
    "vehicles": [
        {"id": "v1", "driver_id": "d1", "capacity": [3, 2], "skills": ["cold", 7], "aboard": ["s2"],
         "shift": ["2026-03-01T12:00:00Z", "2026-03-01T20:00:00+01:00"], "max_jobs": 9},
        {"id": "v2", "start": HERE, "end": THERE, "speed_factor": 1.5},
    ],
    "jobs": [{"id": "j1", "at": THERE, "service_s": 60, "delivery": [1, 0], "pickup": [0, 1],
              "skills": ["cold"], "priority": 100,
              "windows": [["2026-03-01T12:30:00Z", "2026-03-01T13:00:00Z"]]}],
    "shipments": [
        {"id": "s1", "pickup": {"at": HERE, "service_s": 30}, "delivery": {"at": THERE},
         "amount": [1, 1]},
        {"id": "s2", "delivery": {"at": THERE, "windows": [["2026-03-01T12:00:00Z",
                                                            "2026-03-01T14:00:00Z"]]}},
    ],
    "keep": "aboard", "limit_s": 2.5,
}  # fmt: skip
GIVEN: dict[str, Any] = {
    "vehicles": [{"id": "v1", "start": {"index": 0}, "shift": [0, 1000.5]}],
    "jobs": [{"id": "j1", "at": {"index": 1}, "windows": [[0, 500]]}],
    "matrix": {"durations_s": [[0, 10], [12, 0]], "distances_m": [[0, 100], [120, 0]]},
}
POSITIONS = LookedUp({"d1": (53.4, -2.99)}, {})


def changed(body: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """A copy where the member at `path` is `value`; ... removes it."""
    body = copy.deepcopy(body)
    inner: Any = body
    for step in path[:-1]:
        inner = inner[step]
    if value is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return body


def faults_of(body: Any, looked_up: LookedUp = POSITIONS) -> dict[str, str]:
    """Field and detail of each fault; empty for what is good."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    try:
        read = read_plan(data)
        draft_of(read, looked_up, NOW)
    except InvalidUpdate as e:
        assert e.status == 422
        assert e.faults, e.detail
        return {fault.field: fault.detail for fault in e.faults}
    return {}


def test_what_is_good_is_taken() -> None:
    assert faults_of(GOOD) == {}
    assert faults_of(GIVEN) == {}
    for member in ("keep", "limit_s", "jobs", "shipments"):
        if member != "shipments":
            assert faults_of(changed(GOOD, (member,), ...)) == {}
        if member != "shipments":
            assert faults_of(changed(GIVEN, (member,), None)) == {}


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 5000, b'{"vehicles":[NaN]}'])
def test_what_is_no_json_is_400(data: bytes) -> None:
    with pytest.raises(InvalidUpdate) as caught:
        read_plan(data)
    assert caught.value.status == 400


V, J, S = ("vehicles", 0), ("jobs", 0), ("shipments", 0)
WRONG: list[tuple[tuple[Any, ...], Any, str]] = [
    (("vehicles",), ..., "vehicles"),
    (("vehicles",), [], "vehicles"),
    (("vehicles",), {}, "vehicles"),
    (("vehicles",), [{"id": f"v{n}", "start": HERE} for n in range(101)], "vehicles"),
    (("vehicles", 1), 5, "vehicles[1]"),
    ((*V, "id"), ..., "vehicles[0].id"),
    ((*V, "id"), "a b", "vehicles[0].id"),
    ((*V, "id"), "v2", "vehicles[1].id"),
    ((*V, "driver_id"), ..., "vehicles[0].start"),
    ((*V, "driver_id"), "d9", "vehicles[0].driver_id"),
    (("vehicles", 1, "driver_id"), "d1", "vehicles[1].driver_id"),
    ((*V, "start"), {"latitude": 91, "longitude": 0}, "vehicles[0].start.latitude"),
    ((*V, "start"), {"latitude": 1}, "vehicles[0].start.longitude"),
    ((*V, "start"), {"index": 0}, "vehicles[0].start.index"),
    ((*V, "capacity"), [3], "jobs[0].delivery"),
    ((*V, "capacity"), [-1, 1], "vehicles[0].capacity[0]"),
    ((*V, "capacity"), 5, "vehicles[0].capacity"),
    ((*V, "capacity"), [1.5, 1], "vehicles[0].capacity[0]"),
    ((*V, "skills"), [[]], "vehicles[0].skills[0]"),
    ((*V, "shift"), ["2026-03-01T12:00:00Z"], "vehicles[0].shift"),
    ((*V, "shift"), ["2026-03-01T12:00:00Z", "2026-03-01T11:00:00Z"], "vehicles[0].shift"),
    ((*V, "shift"), ["2026-03-01T12:00:00", "2026-03-01T13:00:00Z"], "vehicles[0].shift[0]"),
    ((*V, "shift"), ["2024-03-01T12:00:00Z", "2026-03-01T13:00:00Z"], "vehicles[0].shift[0]"),
    ((*V, "shift"), [0, 100], "vehicles[0].shift[0]"),
    ((*V, "max_jobs"), -1, "vehicles[0].max_jobs"),
    ((*V, "speed_factor"), 0, "vehicles[0].speed_factor"),
    ((*V, "speed_factor"), "fast", "vehicles[0].speed_factor"),
    ((*V, "aboard"), ["s9"], "vehicles[0].aboard[0]"),
    ((*V, "aboard"), ["j1"], "vehicles[0].aboard[0]"),
    ((*V, "aboard"), ["s2", "s2"], "vehicles[0].aboard[1]"),
    (("vehicles", 1, "aboard"), ["s2"], "vehicles[1].aboard[0]"),
    ((*V, "aboard"), [], "shipments[1].pickup"),
    (("shipments", 1, "amount"), [4, 0], "vehicles[0].aboard"),
    (("jobs",), [{"id": f"x{n}", "at": HERE} for n in range(501)], "jobs"),
    (("jobs",), [{"id": f"x{n}", "at": HERE} for n in range(497)], "shipments"),
    ((*J, "id"), "s1", "shipments[0].id"),
    ((*J, "at"), ..., "jobs[0].at"),
    ((*J, "at"), {}, "jobs[0].at.latitude"),
    ((*J, "at"), None, "jobs[0].at"),
    ((*J, "service_s"), -1, "jobs[0].service_s"),
    ((*J, "service_s"), 90_000, "jobs[0].service_s"),
    ((*J, "delivery"), [1], "jobs[0].delivery"),
    ((*J, "priority"), 101, "jobs[0].priority"),
    ((*J, "priority"), True, "jobs[0].priority"),
    ((*J, "windows"), [], "jobs[0].windows"),
    ((*J, "windows"), [["2026-03-01T12:30:00Z"]], "jobs[0].windows[0]"),
    ((*J, "windows", 0, 1), "2026-03-01T12:00:00Z", "jobs[0].windows[0]"),
    ((*J, "windows", 0, 0), "soon", "jobs[0].windows[0][0]"),
    ((*J, "windows"), [["2028-03-01T12:00:00Z", "2028-03-01T13:00:00Z"]], "jobs[0].windows[0][0]"),
    ((*S, "pickup"), ..., "shipments[0].pickup"),
    ((*S, "pickup", "at"), ..., "shipments[0].pickup.at"),
    ((*S, "delivery"), ..., "shipments[0].delivery"),
    ((*S, "delivery", "at", "latitude"), "x", "shipments[0].delivery.at.latitude"),
    ((*S, "delivery", "service_s"), "x", "shipments[0].delivery.service_s"),
    ((*S, "amount"), 1, "shipments[0].amount"),
    (("keep",), "all", "keep"),
    (("limit_s",), 0.5, "limit_s"),
    (("limit_s",), 11, "limit_s"),
    (("vehicle",), "boat", "vehicle"),
    # A member that is not known would change the plan unnoticed.
    (("colour",), "red", "colour"),
    ((*V, "shifts"), [], "vehicles[0].shifts"),
    (("vehicles", 1, "start", "lat"), 1, "vehicles[1].start.lat"),
    ((*J, "time_windows"), None, "jobs[0].time_windows"),
    ((*J, "x" * 5000), 1, f"jobs[0].{'x' * 64}"),
    ((*S, "delivery", "window"), [], "shipments[0].delivery.window"),
    ((*S, "pickup", "at", "index "), 1, "shipments[0].pickup.at.index "),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field"), WRONG, ids=lambda x: str(x)[:40])
def test_a_fault_is_named_with_its_place(path: tuple[Any, ...], value: Any, field: str) -> None:
    assert field in faults_of(changed(GOOD, path, value))


WRONG_WITH_A_MATRIX: list[tuple[tuple[Any, ...], Any, str]] = [
    ((*V, "start"), HERE, "vehicles[0].start.index"),
    ((*V, "start"), ..., "vehicles[0].start"),
    ((*V, "start"), {"index": 2}, "vehicles[0].start.index"),
    ((*V, "start"), {"index": -1}, "vehicles[0].start.index"),
    ((*V, "start"), {"index": 0.5}, "vehicles[0].start.index"),
    ((*V, "shift"), [0, -5], "vehicles[0].shift[1]"),
    ((*V, "shift"), [5, 4], "vehicles[0].shift"),
    ((*V, "shift"), ["2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"], "jobs[0].windows[0][0]"),
    (("matrix",), [], "matrix"),
    (("matrix", "durations"), [], "matrix.durations"),
    (("matrix",), {}, "matrix.durations_s"),
    (("matrix", "durations_s"), [], "matrix.durations_s"),
    (("matrix", "durations_s", 1), [1], "matrix.durations_s[1]"),
    (("matrix", "durations_s", 0, 1), -1, "matrix.durations_s[0][1]"),
    (("matrix", "durations_s", 0, 1), "x", "matrix.durations_s[0][1]"),
    (("matrix", "durations_s", 0, 1), 1e300, "matrix.durations_s[0][1]"),
    (("matrix", "distances_m"), [[0, 1]], "matrix.distances_m"),
    (("matrix", "distances_m", 0), [0, 1, 2], "matrix.distances_m[0]"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "field"), WRONG_WITH_A_MATRIX, ids=str)
def test_so_is_one_with_a_matrix(path: tuple[Any, ...], value: Any, field: str) -> None:
    assert field in faults_of(changed(GIVEN, path, value))


def test_several_faults_are_named_together_and_thousands_are_not() -> None:
    body = changed(changed(GOOD, (*J, "priority"), 200), (*S, "delivery", "at"), {})
    body["vehicles"][1]["speed_factor"] = -1
    assert {"jobs[0].priority", "vehicles[1].speed_factor"} <= faults_of(body).keys()
    many = GOOD | {"jobs": [{"id": 5} for _ in range(400)]}
    assert 1 < len(faults_of(many)) <= 20


def test_a_fault_says_what_would_be_right() -> None:
    said = faults_of(
        changed(GOOD, ("keep",), "all")
        | {"vehicle": "boat", "job": [], "vehicles": [{"id": "a b", "shift": ["soon", 0], "x": 1}]}
    )
    assert said["keep"] == "must be one of aboard, assigned, nothing"
    assert said["vehicle"] == "must be one of bicycle, car, foot"
    assert said["job"] == "is unknown: is jobs meant?"
    assert said["vehicles[0].id"].startswith("must be 1-64 of A-Z")
    assert said["vehicles[0].shift[0]"].startswith("must be a time as RFC 3339")
    assert said["vehicles[0].x"].startswith("is unknown: there are id, driver_id, start,")


def test_numbers_may_be_null_where_there_is_no_way() -> None:
    problem = problem_of(changed(GIVEN, ("matrix", "durations_s", 0, 1), None))
    assert problem.durations_s[0][1] is None
    # From a place to itself it takes no time, whatever the matrix says.
    problem = problem_of(changed(GIVEN, ("matrix", "durations_s", 0, 0), 50))
    assert problem.leg_s(problem.vehicles[0], 0, 0) == 0


def test_only_the_places_that_are_used_are_looked_at() -> None:
    rows = [[10 * a + b for b in range(4)] for a in range(4)]
    body = GIVEN | {"matrix": {"durations_s": rows}}
    body = changed(changed(body, (*V, "start"), {"index": 3}), (*J, "at"), {"index": 1})
    assert problem_of(body).durations_s == [[33, 31], [13, 11]]


def test_what_is_aboard_is_pinned_and_only_delivered() -> None:
    draft = draft_of(read_plan(orjson.dumps(GOOD)), POSITIONS, NOW)
    tasks = {task.task_id: task for task in draft.tasks}
    assert tasks["s2"].aboard
    assert tasks["s2"].vehicle == 0
    assert [visit.kind for visit in tasks["s2"].visits] == ["delivery"]
    assert [visit.kind for visit in tasks["s1"].visits] == ["pickup", "delivery"]
    assert tasks["s1"].vehicle is None
    # Nothing is kept: the same shipment has to be picked up, and may go to any vehicle.
    body = changed(GOOD | {"keep": "nothing"}, ("shipments", 1, "pickup"), {"at": HERE})
    tasks = {t.task_id: t for t in draft_of(read_plan(orjson.dumps(body)), POSITIONS, NOW).tasks}
    assert (tasks["s2"].aboard, tasks["s2"].vehicle, len(tasks["s2"].visits)) == (False, None, 2)


def test_what_is_assigned_stays_with_its_driver_if_that_is_asked_for() -> None:
    read = read_plan(orjson.dumps(GOOD | {"keep": "assigned"}))
    question = look_up_for(read)
    assert question is not None
    assert (question.drivers, question.orders, question.vehicle) == (
        ["d1"],
        ["j1", "s1", "s2"],
        "car",
    )
    orders = {"s1": DriverOfOrder("d1", aboard=True), "j1": DriverOfOrder("d1", aboard=False)}
    orders["s2"] = DriverOfOrder("d7", aboard=True)
    draft = draft_of(read, LookedUp(POSITIONS.positions, orders), NOW)
    tasks = {task.task_id: task for task in draft.tasks}
    assert (tasks["s1"].aboard, tasks["s1"].vehicle) == (True, 0)
    assert (tasks["j1"].aboard, tasks["j1"].vehicle) == (False, 0)
    assert (tasks["s2"].aboard, tasks["s2"].vehicle) == (True, 0)
    # By default the fleet's orders are not asked for.
    question = look_up_for(read_plan(orjson.dumps(GOOD)))
    assert question is not None
    assert question.orders == []
    assert look_up_for(read_plan(orjson.dumps(GIVEN))) is None


def test_a_shift_is_taken_as_given_and_nobody_leaves_the_present_before_now() -> None:
    body = copy.deepcopy(GOOD)
    for vehicle in body["vehicles"]:
        vehicle["shift"] = ["2026-03-01T06:00:00Z", "2026-03-01T18:00:00Z"]
    draft = draft_of(read_plan(orjson.dumps(body)), POSITIONS, NOW)
    assert draft.clock.shown(draft.origin_s) == datetime(2026, 3, 1, 6, tzinfo=UTC)
    assert [vehicle.begin_s for vehicle in draft.vehicles] == [6 * 3600, 0]
    assert [vehicle.until_s for vehicle in draft.vehicles] == [12 * 3600, 12 * 3600]


def test_windows_are_put_in_order_and_joined() -> None:
    body = changed(GIVEN, (*J, "windows"), [[300, 400], [0, 100], [90, 120], [400, 410]])
    [visit] = problem_of(body).visits
    assert visit.windows == ((0, 120), (300, 410))
