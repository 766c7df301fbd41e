"""How large a plan may be. Part of the API's contract."""

from typing import Final

# A shipment is two jobs: its pick-up and its delivery.
JOBS_MAX: Final = 500
VEHICLES_MAX: Final = 100
# Side of a given matrix. A plan of the largest size uses 700 places: jobs, starts and ends.
MATRIX_SIDE_MAX: Final = 1_000
# Two such matrices of 700 places, with seven characters a number, and the jobs.
PLAN_BODY_BYTES_MAX: Final = 8 * 1_048_576
# Seconds the solver may search.
LIMIT_S_MIN, LIMIT_S_MAX = 1.0, 10.0
LIMIT_S_DEFAULT: Final = 1.0
# Windows of one job.
WINDOWS_MAX: Final = 20
# Kinds of goods that capacities and amounts count, and how many there may be of each.
DIMENSIONS_MAX: Final = 10
AMOUNT_MAX: Final = 1_000_000_000
SKILLS_MAX: Final = 50
# A day at one customer is no stop but a mistake.
SERVICE_S_MAX: Final = 86_400.0
# A leg of a given matrix: a month.
LEG_S_MAX: Final = 31 * 86_400.0
LEG_M_MAX: Final = 100_000_000.0
# How far the times of a plan may lie from its beginning: a year.
SPAN_S_MAX: Final = 366 * 86_400.0
SPEED_FACTOR_MIN, SPEED_FACTOR_MAX = 0.1, 10.0
# Plans that one process of ingest has under way: bodies in memory. The planner has its own limit.
UNDER_WAY_MAX: Final = 32
