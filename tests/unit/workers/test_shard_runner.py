"""What a host starts, and when: first what loads the code, then who says that the host lives."""

from types import SimpleNamespace
from typing import Any

import pytest

from common.processes.fork_server import READY
from common.processes.supervision.spec import ChildSpec
from common.shards import Shards
from consumers import runner
from consumers.runner import AGENT, FORK_SERVER, LOADING_S, ShardRunner
from consumers.sharing.orders import encode_orders


class Told:
    """Stands in for the supervisor, and for the role's numbers."""

    draining = False

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []

    def spawn(self, *specs: ChildSpec) -> None:
        self.started += [spec.name for spec in specs]

    add = spawn

    def stop(self, name: str) -> None:
        self.stopped.append(name)

    def turn(self) -> None: ...

    def began(self, child: str) -> None: ...

    def ended(self, child: str) -> None: ...


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


@pytest.fixture
def told() -> Any:
    return Told()


@pytest.fixture
def begun(told, clock) -> ShardRunner:
    def worker(_forks: object, name: str, arguments: Any) -> ChildSpec:
        return ChildSpec(name, tuple(arguments))

    it = ShardRunner(told, worker)
    it.begin(told, ChildSpec(AGENT, ("agent",)), ChildSpec(FORK_SERVER, ("server",)))
    return it


def run_two(it: ShardRunner) -> None:
    shards = Shards("driver-locations", 2)
    it.heard(AGENT, encode_orders(shards, shards.all))
    it.turn()


def test_a_host_says_that_it_lives_once_it_can_run_workers(begun, told):
    """The others gave it shards, which had no writer until it had loaded."""
    begun.turn()
    assert told.started == [FORK_SERVER]
    begun.heard(FORK_SERVER, READY)
    begun.turn()
    begun.turn()
    assert told.started == [FORK_SERVER, AGENT]
    run_two(begun)
    assert told.started[2:] == ["consumer-0", "consumer-1"]


def test_a_fork_server_that_never_gets_ready_is_waited_for_once(begun, told, clock):
    for _ in range(4):
        begun.began(FORK_SERVER)
        begun.turn()
        begun.ended(FORK_SERVER)
        clock[0] += LOADING_S / 4
    assert told.started == [FORK_SERVER]
    begun.began(FORK_SERVER)
    begun.turn()
    assert told.started == [FORK_SERVER, AGENT]
    run_two(begun)
    assert told.started[2:] == ["consumer-0", "consumer-1"]


def test_while_it_loads_again_nothing_is_started_and_what_is_not_wanted_is_stopped(begun, told):
    begun.heard(FORK_SERVER, READY)
    begun.turn()
    run_two(begun)
    begun.ended(FORK_SERVER)
    shards = Shards("driver-locations", 3)
    begun.heard(AGENT, encode_orders(shards, [shards[0], shards[2]]))
    begun.turn()
    assert told.stopped == ["consumer-1"]
    assert "consumer-2" not in told.started
    begun.heard(FORK_SERVER, READY)
    begun.turn()
    assert told.started[-1] == "consumer-2"
