"""What the role arrivals says: orders it follows, and what it says of them."""

from common.metrics.metric import counter, gauge

ARRIVALS_ORDERS = gauge(
    "fleetline_arrivals_orders",
    "Active orders with a driver and a drop-off, whose arrival is followed.",
)
ARRIVALS_AWAY = gauge(
    "fleetline_arrivals_away_orders",
    "Orders whose arrival stands still, since the Redis server that has them does not answer.",
    "Above 0 for a minute: a primary of the cluster is away.",
)
ARRIVALS_COMPUTED = counter(
    "fleetline_arrivals_computed_total",
    "Arrivals that were worked out, by how: the road engine, the fleet's own trips, a straight "
    "line.",
    "`straight` grows where there is a road graph: the engine is away, or the city is not on it.",
    labels=("method",),
)
ARRIVALS_PUBLISHED = counter(
    "fleetline_arrivals_published_total",
    "Arrivals that customers were sent: they moved by 30 s or more.",
    "It stands still while orders are followed: nobody is told when the driver comes.",
)
ARRIVALS_UNLOGGED = counter(
    "fleetline_arrivals_unlogged_total",
    "Predictions that found no room while the database was away: accuracy has a hole there.",
)
ARRIVALS_LOOK_AGE = gauge(
    "fleetline_arrivals_look_age_seconds",
    "Since orders were last looked at; there are four looks a second.",
    "Above 30: Redis is away, or another process has the work. Arrivals grow old.",
)

METRICS = (
    ARRIVALS_ORDERS,
    ARRIVALS_AWAY,
    ARRIVALS_COMPUTED,
    ARRIVALS_PUBLISHED,
    ARRIVALS_UNLOGGED,
    ARRIVALS_LOOK_AGE,
)
