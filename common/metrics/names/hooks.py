"""What the sender of webhooks says."""

from common.metrics import buckets
from common.metrics.metric import Merge, counter, gauge, histogram

ATTEMPTS = counter(
    "fleetline_webhook_attempts_total",
    "Deliveries that were tried, by what came of it: delivered, waiting (for another try), dead.",
    "Dead ones: `fleetline webhooks dead` says why.",
    ("result",),
)
DELIVERY_TIME = histogram(
    "fleetline_webhook_delivery_seconds",
    "From an event's storage to its delivery, of what was taken at the first try.",
    "The 99th percentile above 1: the sender or the database has no time.",
    bounds=buckets.FRAME_S,
)
WEBHOOKS = gauge(
    "fleetline_webhooks",
    "Webhooks by state, as the database has them: on, failing, off.",
    "Failing ones: `fleetline webhooks list`.",
    ("state",),
    merge=Merge.MOST,
)

METRICS = (ATTEMPTS, DELIVERY_TIME, WEBHOOKS)
