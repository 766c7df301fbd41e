"""Locust, headless: 10,000 drivers, each a fix every 5 s, and customers who watch.

Locust's users cost far more CPU than the service: what it shows is that 10,000 drivers with their
own connections are served, not how fast. Where it does not reach its load the figure says so.
"""

import csv
import json
import subprocess
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from bench import accounting
from bench.context import Bench, LostFixes
from bench.processes import Failed, spawn, stop
from bench.report.result import Figure

NAME = "locust"
TITLE = "Locust: 10,000 drivers with connections of their own, and customers"
BOUND_S = 180.0
LOCUSTFILE = "bench.load.locustfile"
# Users that one Locust process starts a second without falling behind itself.
SPAWN_A_SECOND = 500
SLACK_S = 60.0


def run(bench: Bench) -> Iterable[Figure]:
    """Through nginx, as from outside."""
    if find_spec("locust") is None:
        raise Failed("locust is not installed: the dependency group `load` has it")
    stack = bench.stack
    drivers, customers = bench.pick((10_000, 500), (2_000, 200))
    seconds = bench.pick(50.0, 10.0)
    stack.reset()
    stack.start("consumers", "fanout", "ingest")
    before = stack.cpu()
    prefix = stack.folder / "locust"
    arguments = _arguments(bench, prefix, drivers, customers, seconds)
    env = {"LOCUST_SEED": str(bench.seed), "LOCUST_DRIVERS": str(drivers)}
    process = spawn(*arguments, log=stack.log("locust"), env=env)
    try:
        process.wait(seconds + SLACK_S)
    except subprocess.TimeoutExpired:
        raise Failed("locust did not end in time") from None
    finally:
        stop(process)
    stack.drained()
    after = stack.cpu()
    rows = _rows(prefix.with_name("locust_stats.csv"))
    stack.stop_roles()
    return _figures(rows, before, after, drivers, stack.rows())


def _arguments(
    bench: Bench, prefix: Path, drivers: int, customers: int, seconds: float
) -> tuple[str, ...]:
    spec = find_spec(LOCUSTFILE)
    if spec is None or spec.origin is None:
        raise Failed("the locustfile is missing")
    counts = [
        {"user_class_name": "Driver", "fixed_count": drivers},
        {"user_class_name": "Customer", "fixed_count": customers},
    ]
    host = f"http://127.0.0.1:{bench.stack.settings.gateway_port}"
    return (
        # The counts first: that option takes all words up to the next one.
        *("-m", "locust", "--config-users", json.dumps(counts), "-f", spec.origin),
        *("--headless", "--host", host, "--only-summary"),
        *("--users", str(drivers + customers), "--spawn-rate", str(SPAWN_A_SECOND)),
        *("--run-time", f"{seconds:g}s", "--stop-timeout", "5", "--csv", str(prefix)),
        *("Driver", "Customer"),
    )


def _rows(path: Path) -> dict[str, dict[str, str]]:
    try:
        with path.open() as file:
            return {row["Name"]: row for row in csv.DictReader(file)}
    except OSError as e:
        raise Failed(f"locust wrote no statistics: {e}") from e


def _figures(
    rows: dict[str, dict[str, str]],
    before: dict[str, float],
    after: dict[str, float],
    drivers: int,
    stored: int,
) -> list[Figure]:
    posts, frames = rows.get("POST one"), rows.get("POST → frame")
    if posts is None or frames is None:
        raise Failed(f"locust saw nothing: {sorted(rows)}")
    sent, failed = int(posts["Request Count"]), int(posts["Failure Count"])
    # What fails at the end is cut off while it is under way: its outcome is unknown.
    if not sent - failed <= stored <= sent + drivers:
        raise LostFixes(f"locust: accepted {sent - failed}, stored {stored}")
    cost = accounting.per_fix_us(before, after, sent)
    totals = {"sent": sent, "failed": failed, "stored": stored, "users": drivers}
    wanted = drivers / 5.0
    rate = float(posts["Requests/s"])
    notes = [f"{drivers:,} drivers", "latencies include Locust's own delay"]
    if rate < wanted * 0.9:
        notes.append(f"asked for {wanted:,.0f}/s in the end: includes the time of starting users")
    return [
        Figure("locust.post", "Locust, POST one, through nginx", rate, "fixes/s",
               _latency(posts), (), cost, totals, notes),
        Figure("locust.frame", "Locust, POST → frame, through nginx",
               float(frames["Requests/s"]), "frames/s", _latency(frames), (), {}, totals, notes),
    ]  # fmt: skip


def _latency(row: dict[str, str]) -> dict[str, float]:
    names = {"p50": "50%", "p90": "90%", "p99": "99%", "p999": "99.9%", "max": "100%"}
    return {name: float(row[column]) for name, column in names.items()}
