"""Writes docs/metrics.md from the list of metrics: `make observe`."""

from collections.abc import Iterable
from pathlib import Path

import deploy
from common.metrics.catalogue import BY_ROLE, ROLES, metrics_port
from common.metrics.metric import Metric
from common.metrics.names import process

PAGE = Path(deploy.__file__).parents[1] / "docs/metrics.md"

_HEAD = """\
# Metrics

Made from `common/metrics/names/` by `make observe`; a test says that it is current.

Each role serves `/metrics` on a port of its own, to this machine alone: {ports}. With `--port P` \
they are P+20, P+21 and so on. `METRICS_PORT` is the port of a role that is started alone, \
`METRICS_HOST` the address, for a Prometheus on another machine. `Accept` decides between \
Prometheus' text and OpenMetrics.

`fleetline top` shows the most important ones live. [deploy/prometheus](../deploy/prometheus) has \
a scrape configuration and alerts, whose runbooks are in [alerts.md](alerts.md); \
[deploy/grafana](../deploy/grafana) has dashboards.

A role of several processes (workers of ingest, shards) is one page: counters of a process that \
ended stay in the sum, so none falls when a child dies. The main process of a role that is started \
again begins at 0, as Prometheus expects of a counter. Numbers are at most a second old; what a \
process that is killed counted in its last second is lost. No label holds a driver, an order, a \
token or an address.

Counting costs, as CPU time of what was added beside what it was added to, in one run: 0.26 µs a \
request of one fix and 0.28 a write to Redis that many share, of 56 µs; 0.9 µs a request of a \
hundred fixes, of 450; 3 µs a page of a consumer's stage however long it is, of 20 µs a fix; \
0.06 µs a message to a socket, of 12. A report costs a process 0.1 ms a second, a scrape the main \
process 1 to 4 ms.
"""


def page() -> str:
    """The whole page."""
    ports = ", ".join(f"{role} {metrics_port(role)}" for role in ROLES)
    parts = [_HEAD.format(ports=ports)]
    parts += _section("Every role", process.METRICS)
    for role, metrics in BY_ROLE.items():
        parts += _section(f"Role {role}", metrics)
    return "\n".join(parts)


def _section(title: str, metrics: Iterable[Metric]) -> list[str]:
    rows = [
        f"## {title}\n",
        "| metric | type | labels | what it means | when to worry |",
        "|---|---|---|---|---|",
    ]
    for metric in metrics:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        cells = (f"`{metric.name}`", metric.kind, labels, metric.means, metric.worry)
        rows.append(f"| {' | '.join(cells)} |")
    return [*rows, ""]


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE}")
