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
PLACES_LEFT_OUT = counter(
    "fleetline_places_left_out_total",
    "Fixes that a rule could not take (presence, geofences, orders), and events that the database "
    "refused (events). Each is left out of that rule alone.",
    "Any: a bug. `places.left_out` in the log names the fix.",
    ("rule",),
)

METRICS = (PLACES_FIXES, PLACES_TURN_AGE, PLACES_LEFT_OUT)
