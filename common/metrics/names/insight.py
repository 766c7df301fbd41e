"""What the follower of the history says: trips, stops and statistics."""

from common.metrics.metric import counter, gauge

INSIGHT_FIXES = counter(
    "fleetline_insight_fixes_total", "Fixes of the history that were worked into trips and sums."
)
INSIGHT_REPAIRS = counter(
    "fleetline_insight_repairs_total",
    "Drivers whose past was computed again, because fixes came late.",
)
INSIGHT_LAG = gauge(
    "fleetline_insight_lag_seconds",
    "How far trips and statistics are behind the clock; 15 to 30 s is as it should be.",
    "Above 300: the follower does not keep up, or the database is away.",
)

METRICS = (INSIGHT_FIXES, INSIGHT_REPAIRS, INSIGHT_LAG)
