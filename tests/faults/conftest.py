"""A running stack of its own for the fault tests: what they do to it, others must not meet."""

from collections.abc import Iterator

import pytest

from tests.servers.postgres import PostgresServer, postgres
from tests.stack import Stack, new_home
from tests.wait import wait_until

BACKLOG_MAX = 1000
SETTINGS = {
    # Silence is noticed sooner than by default, so that tests are short.
    "HEARTBEAT_TIMEOUT_S": "5",
    "DATABASE_TIMEOUT_S": "3",
    "BACKLOG_MAX": str(BACKLOG_MAX),
    # The same fix must be able to arrive at two of them.
    "INGEST_WORKERS": "2",
}


@pytest.fixture(scope="package")
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL that a test may stop, and starts again."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="package")
def stack_package() -> Iterator[Stack]:
    """The stack; tests may do what they like to its children."""
    with new_home() as home, Stack(home, extra=SETTINGS) as running:
        yield running


@pytest.fixture
def stack(stack_package: Stack) -> Stack:
    """The running stack, whole, and accepting."""

    def accepts() -> bool:
        if not set(stack_package.states().values()) <= {"running", "stopped"}:
            return False
        fix = {"latitude": 1.0, "longitude": 2.0}
        try:
            # Often enough that every worker of ingest is asked for every shard.
            return all(
                stack_package.request("POST", f"/api/v1/drivers/whole-{n}/location", fix)[0] == 202
                for n in range(40)
            )
        except OSError:
            return False

    wait_until(accepts, timeout_s=20, what="a whole stack")
    return stack_package
