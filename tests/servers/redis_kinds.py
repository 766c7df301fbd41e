"""On which kind of Redis a test runs: on one server, on a cluster, or on each in turn. Pure.

Whatever takes `redis_session`, or a fixture over it, can run on both. On one server all of it does.
On a cluster `make test-cluster` runs all of it, and `make test` only what is marked `cluster_too`,
since each costs its time again. What is about one server is marked `one_redis`.
"""

from collections.abc import Collection, Iterable, Sequence

import pytest

ONE, CLUSTER = "one", "cluster"
# As a parameter one server is nothing, so that it is the same to a fixture as no parameter.
PARAMETERS = {ONE: None, CLUSTER: CLUSTER}


def kinds_of(marks: Collection[str], *, on_cluster: bool) -> Sequence[str]:
    """The kinds for a test with these marks. `on_cluster`: whether the run is the cluster's."""
    if "one_redis" in marks:
        return [] if on_cluster else [ONE]
    if on_cluster:
        return [CLUSTER]
    return [ONE, CLUSTER] if "cluster_too" in marks else [ONE]


def is_on_cluster(item: pytest.Item) -> bool:
    """Whether that is what the run made of a test."""
    callspec = getattr(item, "callspec", None)
    return callspec is not None and callspec.params.get("redis_session") == CLUSTER


def split(items: Iterable[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Those on a cluster, and the others."""
    on_cluster: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (on_cluster if is_on_cluster(item) else others).append(item)
    return on_cluster, others
