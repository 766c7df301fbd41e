"""Fixtures that all tests share."""

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import RedisServer, valkey
from tests.servers.postgres import Databases, PostgresServer, postgres
from tests.servers.redis_cluster import AnyRedis, RedisClusterServers, redis_cluster
from tests.servers.redis_kinds import CLUSTER, ONE, PARAMETERS, is_on_cluster, kinds_of, split
from tests.servers.timescale import NAMED, timescale

# Where bytecode is not wanted, each process of each stack compiles all of its code anew: a sixth of
# what its start costs, and tests start hundreds of them.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Long ones first, so that no process works on one alone while the others are done.
ORDER: Sequence[str] = ("system", "faults", "integration", "odd", "unit")

# How long an example takes says something of the machine, and who else uses it.
settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """The run of `make test-cluster`."""
    parser.addoption(
        "--cluster", action="store_true", help="on a cluster what can run on one, and nothing else"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each test that takes a Redis runs on its kinds of it."""
    if "redis_session" not in metafunc.fixturenames:
        return
    marks = {mark.name for mark in metafunc.definition.iter_markers()}
    kinds = kinds_of(marks, on_cluster=metafunc.config.getoption("--cluster"))
    if kinds and kinds != [ONE]:
        values = [PARAMETERS[kind] for kind in kinds]
        metafunc.parametrize("redis_session", values, ids=kinds, indirect=True, scope="module")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort by folder; inside a file what runs on a cluster stands last, else the order stays."""
    here = Path(__file__).parent
    if config.getoption("--cluster"):
        items[:], left_out = split(items)
        config.hook.pytest_deselected(items=left_out)
    files = {path: number for number, path in enumerate(dict.fromkeys(i.path for i in items))}

    def place(item: pytest.Item) -> tuple[int, int, bool]:
        folder = item.path.relative_to(here).parts[0]
        order = ORDER.index(folder) if folder in ORDER else len(ORDER)
        return order, files[item.path], is_on_cluster(item)

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files that share a stack go to one process."""
    from tests.scheduling import StackScheduling

    return StackScheduling(config, log)


@pytest.fixture(scope="session")
def one_session() -> Iterator[RedisServer]:
    """One Valkey for the whole run."""
    with valkey() as server:
        yield server


@pytest.fixture
def one_server(one_session: RedisServer) -> RedisServer:
    """That, empty, for what is about one server."""
    one_session.clear()
    return one_session


@pytest.fixture(scope="module")
def redis_session(request: pytest.FixtureRequest) -> AnyRedis:
    """The Redis of the whole run, of the kind on which the test runs: see `redis_kinds`."""
    on_cluster = getattr(request, "param", None) == CLUSTER
    server: AnyRedis = request.getfixturevalue("cluster_session" if on_cluster else "one_session")
    return server


@pytest.fixture
def redis_server(redis_session: AnyRedis) -> AnyRedis:
    """That, empty. A test that stops or kills it starts it again."""
    redis_session.clear()
    return redis_session


@pytest.fixture(scope="session")
def cluster_session() -> Iterator[RedisClusterServers]:
    """One Redis Cluster for the whole run: three primaries, each with a replica."""
    with redis_cluster(replicas=1) as servers:
        yield servers


@pytest.fixture
def cluster(cluster_session: RedisClusterServers) -> RedisClusterServers:
    """An empty cluster. A test that stops or kills nodes makes it whole again."""
    cluster_session.clear()
    return cluster_session


@pytest.fixture(scope="session")
def postgres_session() -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def timescale_session() -> Iterator[Databases]:
    """The TimescaleDB that is named."""
    with timescale() as server:
        yield server


# Where none is named, the tests that are TimescaleDB's own are reported as skipped, not all of it.
@pytest.fixture(scope="module", params=["postgres", "timescale"] if NAMED else ["postgres"])
def databases(request: pytest.FixtureRequest) -> Databases:
    """Where a test's history is: each such test runs on both kinds of database."""
    server: Databases = request.getfixturevalue(f"{request.param}_session")
    return server


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A fresh database with the schema in it."""
    name = databases.create_database()
    yield databases.url(name)
    databases.drop_database(name)
