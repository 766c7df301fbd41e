"""Paths of plans. Data only."""

from common.access.policy import Action
from common.plans.answer import PlanAnswer
from common.plans.body import PlanBody
from common.plans.limits import JOBS_MAX, VEHICLES_MAX
from ingest.openapi.operation import JSON, Media, Operation, answer

HERE, THERE = {"index": 0}, {"index": 1}
BODY = {
    "vehicles": [{"id": "van-1", "start": HERE, "end": HERE, "capacity": [4], "shift": [0, 3600]}],
    "jobs": [{"id": "job-1", "at": THERE, "service_s": 60, "delivery": [1]}],
    "limit_s": 1,
    "matrix": {"durations_s": [[0, 300], [320, 0]]},
}
PLAN = {
    "routes": [{
        "vehicle": "van-1", "driver_id": None, "duration_s": 680, "distance_m": None,
        "stops": [
            {"type": "start", "id": None, "at": HERE, "arrival_at": 0, "wait_s": 0,
             "service_s": 0, "load": [1]},
            {"type": "job", "id": "job-1", "at": THERE, "arrival_at": 300, "wait_s": 0,
             "service_s": 60, "load": [0]},
            {"type": "end", "id": None, "at": HERE, "arrival_at": 680, "wait_s": 0,
             "service_s": 0, "load": [0]},
        ],
    }],
    "unassigned": [], "cost": 620, "method": "matrix", "computed_in_ms": 1012,
}  # fmt: skip
MAKE = Operation(
    "post", "/api/v1/plans", "makePlan", "Plans", "Who serves what, in which order",
    f"Routes for up to {VEHICLES_MAX} vehicles and {JOBS_MAX} jobs (a shipment is two) that break "
    "no window, capacity, skill or shift, and travel as little as is found within `limit_s`. "
    "What no vehicle serves is `unassigned`, with the reason. A vehicle with a `driver_id` and no "
    "`start` begins at the driver's live position, and what is `aboard` stays with it. Places are "
    "`latitude` and `longitude`, or an `index` into the `matrix` where one is given. 429 while too "
    "many plans are under way; 503 where no planner runs. See docs/plans.md.",
    answers={200: answer("The plan.", PlanAnswer, PLAN)},
    errors=(400, 408, 413, 415, 422, 503),
    body={JSON: Media(PlanBody, BODY)},
    action=Action.PLAN,
)  # fmt: skip

OPERATIONS = (MAKE,)
