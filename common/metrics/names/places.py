"""What the role places says: fences, arrivals, who is online."""

from common.metrics.metric import counter, gauge

PLACES_FIXES = counter(
    "fleetline_places_fixes_total",
    "Fixes that were looked at for fences, orders and presence.",
    "It stands still while fixes are accepted: no events, and orders do not arrive.",
)
PLACES_TURN_AGE = gauge(
    "fleetline_places_turn_age_seconds",
    "Since the last turn was stored; there are ten a second.",
    "Above 60: the database is away, or the role waits for it. Events come late, none is lost.",
)

METRICS = (PLACES_FIXES, PLACES_TURN_AGE)
