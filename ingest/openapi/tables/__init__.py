"""What there is, operation by operation. Each file has the rows of one subject; data only."""

from ingest.openapi.tables import (
    apps,
    arrivals,
    drivers,
    events,
    fences,
    insight,
    orders,
    plans,
    roads,
    sockets,
    webhooks,
)

OPERATIONS = (
    *drivers.OPERATIONS,
    *orders.OPERATIONS,
    *arrivals.OPERATIONS,
    *plans.OPERATIONS,
    *insight.OPERATIONS,
    *roads.OPERATIONS,
    *fences.OPERATIONS,
    *events.OPERATIONS,
    *webhooks.OPERATIONS,
    *apps.OPERATIONS,
    *sockets.OPERATIONS,
)
