"""What the role roads says: the engines on this machine, and what they serve."""

from common.metrics.metric import counter, gauge

ROADS_ENGINES = gauge(
    "fleetline_roads_engines",
    "Engines that run, one for each kind of vehicle with a graph.",
    "Below the number of graphs: travel times come from the fallback meanwhile.",
)
ROADS_RESTARTS = counter(
    "fleetline_roads_restarts_total",
    "Engines that ended and were started again.",
    "It grows: an engine runs out of memory, or its graph is damaged.",
)
ROADS_LEARNED_AGE = gauge(
    "fleetline_roads_learned_age_seconds",
    "Since speeds were last learned and kept; absent where none were.",
)

METRICS = (ROADS_ENGINES, ROADS_RESTARTS, ROADS_LEARNED_AGE)
