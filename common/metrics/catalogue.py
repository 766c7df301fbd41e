"""The one list of all metrics, and at which port each role serves its own."""

from collections.abc import Mapping

from common.metrics.metric import Metric
from common.metrics.names import (
    arrivals,
    consumers,
    fanout,
    hooks,
    ingest,
    insight,
    places,
    planner,
    process,
    roads,
)

# A role that is added puts its tuple of metrics here, and its name at the end of ROLES.
BY_ROLE: Mapping[str, tuple[Metric, ...]] = {
    "ingest": ingest.METRICS,
    "fanout": fanout.METRICS,
    "consumers": consumers.METRICS,
    "insight": insight.METRICS,
    "places": places.METRICS,
    "hooks": hooks.METRICS,
    "arrivals": arrivals.METRICS,
    "roads": roads.METRICS,
    "planner": planner.METRICS,
}
# The order is a promise: a role's port is that of the first plus its place.
ROLES = (
    *("ingest", "fanout", "consumers", "insight", "places", "hooks", "arrivals", "roads"),
    "planner",
)
PORT_FIRST = 8020
CATALOGUE: Mapping[str, Metric] = {
    metric.name: metric for metrics in (process.METRICS, *BY_ROLE.values()) for metric in metrics
}


def metrics_port(role: str, first: int = PORT_FIRST) -> int:
    """The port at which `role` serves its metrics, when those of ingest are at `first`."""
    return first + ROLES.index(role)
