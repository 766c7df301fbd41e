"""A cluster: what a fix costs each role on three primaries, beside one Redis.

Three primaries do not make these cores more; they share what one Redis did, which is what counts
where each has a core of its own. One Redis is measured alone and with a replica, because a replica
costs its primary something too, and each primary of the cluster has one. All have as many shards,
and are given the same fixes at the same rate. What the servers use while nothing comes is left out
of their shares: nodes of a cluster talk to each other ten times a second.
"""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError

from bench.context import Bench, Load, rate_figure
from bench.load.generator import Plan
from bench.processes import wait_until
from bench.report.result import Figure
from bench.stack import Stack
from common.redis.client import new_client
from common.redis.place import parse_place
from deploy.servers import packages
from deploy.stack.wiring import CLUSTER_PRIMARIES, CLUSTER_SHARDS

NAME = "cluster"
TITLE = "Cluster: three primaries beside one Redis, CPU a fix by role"
BOUND_S = 240.0
# Fixes a body: (rate, connections). Well below what two cores carry with six servers on them.
LOADS = {1: (1_500, 32), 100: (10_000, 8)}
IDLE_S = 3.0
REPLICA_TIMEOUT_S = 20.0
# A program that becomes another one, so that it is started as all others are.
BECOME = "import os, sys; os.execv(sys.argv[1], sys.argv[1:])"


@dataclass(frozen=True, slots=True)
class Servers:
    """A kind of Redis: the key of its figures, and the roles of its primaries and replicas."""

    key: str
    label: str
    primaries: tuple[str, ...]
    replicas: tuple[str, ...] = ()


ONE = Servers("one", "one Redis", ("redis",))
FOLLOWED = Servers("followed", "one Redis with a replica", ("redis",), ("replica",))
CLUSTER = Servers(
    "three",
    "three primaries, each with a replica",
    tuple(f"redis-{n + 1}" for n in range(CLUSTER_PRIMARIES)),
    tuple(f"redis-{n + 1}" for n in range(CLUSTER_PRIMARIES, 2 * CLUSTER_PRIMARIES)),
)


def run(bench: Bench) -> Iterable[Figure]:
    """The same loads on each kind; shares of a primary are ratios to one Redis with a replica."""
    bench.stack.reset(CLUSTER_SHARDS)
    yield from _measured(bench, ONE, {})
    bench.stack.reset(CLUSTER_SHARDS)
    _start_replica(bench.stack)
    followed: dict[int, float] = {}
    for figure in _measured(bench, FOLLOWED, {}):
        followed[figure.totals["fixes_a_body"]] = figure.totals["primary_us"]
        yield figure
    bench.stack.stop_roles()
    with Stack(CLUSTER_SHARDS, cluster=True) as stack:
        yield from _measured(replace(bench, stack=stack), CLUSTER, followed)


def _measured(bench: Bench, servers: Servers, beside: Mapping[int, float]) -> Iterable[Figure]:
    stack = bench.stack
    stack.start("consumers", "ingest")
    bench.warm(stack.settings.ingest_port)
    stack.drained()
    idle_us_s = _idle_us_s(stack)
    for size, (rate, connections) in LOADS.items():
        plan = Plan(
            stack.settings.ingest_port, connections, bench.pick(15.0, 3.0), fixes_a_body=size,
            rate=rate, seed=bench.seed, requests=20_000 if size == 1 else 400,
        )  # fmt: skip
        rows = stack.rows()
        began_s = time.monotonic()
        load = bench.load(plan, drain=True)
        span_s = time.monotonic() - began_s
        bench.require_stored(load.report, rows, servers.label)
        seconds_a_fix = span_s / max(load.report.fixes_sent, 1)
        net = {role: us - idle_us_s[role] * seconds_a_fix for role, us in load.cpu_us.items()}
        yield _figure(servers, size, load, net, beside.get(size))


def _idle_us_s(stack: Stack) -> Mapping[str, float]:
    """What each role uses in a second while nothing comes."""
    before = stack.cpu()
    time.sleep(IDLE_S)
    return {role: (end_s - before[role]) * 1e6 / IDLE_S for role, end_s in stack.cpu().items()}


def _figure(
    servers: Servers, size: int, load: Load, net: Mapping[str, float], beside: float | None
) -> Figure:
    """Costs by role, all primaries together; and the share of one of them, without what it idles.

    `beside`: that of one Redis.
    """
    share = _sum(net, servers.primaries) / len(servers.primaries)
    totals: dict[str, Any] = {"fixes_a_body": size, "primary_us": round(share, 2)}
    notes = [f"a primary {share:.2f} µs a fix"]
    if servers.replicas:
        totals["replica_us"] = round(_sum(net, servers.replicas) / len(servers.replicas), 2)
        notes.append(f"a replica {totals['replica_us']:.2f}")
    if beside:
        totals["share_of_one"] = round(share / beside, 3)
        notes.append(f"a primary's share is {share / beside:.2f} of one Redis with a replica")
    nodes = {*servers.primaries, *servers.replicas}
    together = {role: us for role, us in load.cpu_us.items() if role not in nodes}
    together["redis"] = _sum(load.cpu_us, servers.primaries)
    if servers.replicas:
        together["replica"] = _sum(load.cpu_us, servers.replicas)
    label = f"{servers.label}, {'POST one' if size == 1 else f'{size} a body'}"
    figure = rate_figure(f"cluster.{servers.key}.{size}", label, load)
    return replace(
        figure, cpu_us=together, totals={**figure.totals, **totals}, notes=[*figure.notes, *notes]
    )


def _sum(cost: Mapping[str, float], roles: Sequence[str]) -> float:
    return round(sum(cost.get(role, 0.0) for role in roles), 3)


def _start_replica(stack: Stack) -> None:
    """A replica of the one Redis, durable as that is; it ends with the roles."""
    place = parse_place(stack.redis_url).data
    folder = stack.folder / "replica"
    folder.mkdir(exist_ok=True)
    # Where a cluster would have a node, which this stack does not have.
    port = stack.settings.gateway_port + 1
    options = {
        "port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": "",
        "appendonly": "yes", "appendfsync": "always", "repl-diskless-sync-delay": "0",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    binary = str(packages.redis_binary())
    stack.start_other("replica", "-c", BECOME, binary, *words, **packages.redis_environment())
    with new_client(f"redis://127.0.0.1:{port}/0") as replica, stack.redis() as client:
        wait_until(lambda: _answers(replica), REPLICA_TIMEOUT_S, "the replica did not start")
        replica.config_set("masterauth", place.password)
        replica.replicaof(place.host, place.port)
        wait_until(
            lambda: client.info("replication").get("slave0", {}).get("state") == "online",
            REPLICA_TIMEOUT_S,
            "the replica did not follow",
        )


def _answers(client: Any) -> bool:
    with contextlib.suppress(RedisError):
        return bool(client.ping())
    return False
