"""What the planner says."""

from common.metrics.metric import counter, gauge, histogram

PLANS = counter(
    "fleetline_plans_total",
    "Plans that were asked for, by what came of it: made, invalid (4xx), busy (429), failed (503), "
    "left (the client went away).",
    "Failed ones: the log says why. Busy ones: more cores, or smaller plans.",
    ("result",),
)
PLAN_TIME = histogram(
    "fleetline_plan_seconds",
    "From the question to the answer of plans that were made, the wait for a solver included.",
    bounds=(0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 12, 20, 30, 45),
)
VIOLATIONS = counter(
    "fleetline_plan_violations_total",
    "Plans that the checker refused: they broke a window, a capacity, a shift or the like, and "
    "were not sent.",
    "Any: a fault of the solver or of ours; the log has what was broken.",
)
SOLVER_DEATHS = counter(
    "fleetline_plan_solver_deaths_total",
    "Solvers that ended by themselves; another is started at once.",
    "More than one an hour: memory, or a plan that kills it.",
)
WAITING = gauge("fleetline_plans_waiting", "Plans that wait for a solver.")

METRICS = (PLANS, PLAN_TIME, VIOLATIONS, SOLVER_DEATHS, WAITING)
