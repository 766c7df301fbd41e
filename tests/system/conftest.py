"""One running stack for all system tests: starting it costs seconds, and it is never quite idle."""

from collections.abc import Iterator

import pytest

from tests.access import AUTH
from tests.stack import LIVE, Stack, new_home, open_folder
from tests.wait import wait_until

# Sooner than by default, so that tests are short: a hanging child is noticed, a position is old.
QUICK = {"HEARTBEAT_TIMEOUT_S": "5", "DATABASE_TIMEOUT_S": "3", "STALE_AGE_S": "5"}
# The receivers of webhooks are here too.
QUICK |= {"WEBHOOK_PRIVATE": "on"}


@pytest.fixture(scope="package")
def stack_session() -> Iterator[Stack]:
    """The stack; tests may kill its children, not stop it."""
    with new_home() as home, Stack(home, extra=QUICK) as running:
        yield running


def await_whole(running: Stack) -> Stack:
    """Wait until nothing of it is being replaced."""
    wait_until(
        lambda: all(state in {"running", "stopped"} for state in running.states().values()),
        timeout_s=20,
        what="a whole stack",
    )
    return running


@pytest.fixture
def stack(stack_session: Stack) -> Stack:
    """The running stack, whole."""
    return await_whole(stack_session)


# Closed, and behind a load balancer: a test names the address of a stranger as that would do.
BODY_TIMEOUT_S = 3.0
CLOSED = {
    **QUICK,
    **AUTH,
    "TRUSTED_PROXIES": "127.0.0.1",
    "BODY_TIMEOUT_S": str(BODY_TIMEOUT_S),
    # Floods of good fixes are part of what is tested.
    "RATE_FIXES_PER_S": "0",
}


@pytest.fixture(scope="package")
def closed_session() -> Iterator[Stack]:
    """A stack that asks for tokens, those of `tests.access`; strangers knock at its front door,
    and may come to the folder where it is.
    """
    with open_folder() as folder, Stack(folder / "home", *LIVE, extra=CLOSED) as running:
        yield running


@pytest.fixture
def closed_stack(closed_session: Stack) -> Stack:
    """That stack, whole."""
    return await_whole(closed_session)
