"""Where the buckets of the histograms end, in seconds. Each aim of the project is such an end.

More buckets than these cost Prometheus a series each, for every shard or route.
"""

# Ingest answers within 1 to 50 ms; a reply of Redis that takes 1.5 s is given up.
INGEST_S = (
    *(0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.0),
)
# POST to frame: 3 ms at low load, 50 ms aimed at, 2 s the time after which it is no live map.
FRAME_S = (
    *(0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 30.0),
)
# A row waits up to 200 ms for its batch; behind an outage it may be hours old.
ROW_AGE_S = (
    *(0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0),
    *(15.0, 60.0, 300.0, 1800.0, 7200.0),
)
# One transaction: a batch of 8,000 rows takes 100 ms; DATABASE_TIMEOUT_S (10) ends it.
STORE_S = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
