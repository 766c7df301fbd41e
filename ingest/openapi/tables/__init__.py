"""What there is, operation by operation. Each file has the rows of one subject; data only."""

from ingest.openapi.tables import apps, drivers, events, fences, insight, orders, sockets, webhooks

OPERATIONS = (
    *drivers.OPERATIONS,
    *orders.OPERATIONS,
    *insight.OPERATIONS,
    *fences.OPERATIONS,
    *events.OPERATIONS,
    *webhooks.OPERATIONS,
    *apps.OPERATIONS,
    *sockets.OPERATIONS,
)
