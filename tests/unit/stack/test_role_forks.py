"""The start of `up` gets on without the process that forks its roles."""

from typing import cast

from common.processes.fork_server import READY, REQUEST_BYTES_MAX, ForkRequest
from common.processes.supervision.changing import ChangingSupervisor
from common.processes.supervision.forking import ForkServer
from common.processes.supervision.spec import ChildSpec
from deploy.local_forks import PRELOADED, RoleForks

REQUEST = ForkRequest("insight", ["deploy.cli", "insight"], {}, env_alone=True)


class SlowSupervisor:
    """Its fork server answers nothing."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def spawn(self, spec: ChildSpec) -> None:
        self.done.append(f"spawn {spec.name}")

    def ask(self, name: str, *_: object) -> None:
        self.done.append(f"ask {name}")

    def stop(self, name: str) -> None:
        self.done.append(f"stop {name}")


def test_a_fork_server_that_is_too_slow_is_given_up_and_roles_start_by_themselves() -> None:
    supervisor, forks = SlowSupervisor(), RoleForks()
    assert forks.fork(REQUEST, (1, 2)) is None
    forks.begin(cast("ChangingSupervisor", supervisor), ChildSpec(PRELOADED, ("python",)))
    # Nobody is asked before it is ready.
    assert forks.fork(REQUEST, (1, 2)) is None
    forks.heard("insight", READY)
    assert not forks.is_ready()
    forks.heard(PRELOADED, READY)
    assert forks.is_ready()
    for _ in range(2):
        assert forks.fork(REQUEST, (1, 2)) is None
    assert supervisor.done == [f"spawn {PRELOADED}", f"ask {PRELOADED}", f"stop {PRELOADED}"]


def test_a_fork_server_that_dies_is_forgotten_and_the_start_goes_on() -> None:
    supervisor, forks = SlowSupervisor(), RoleForks()
    forks.begin(cast("ChangingSupervisor", supervisor), ChildSpec(PRELOADED, ("python",)))
    forks.ended("redis")
    assert supervisor.done == [f"spawn {PRELOADED}"]
    forks.heard(PRELOADED, READY)
    forks.ended(PRELOADED)
    # A child that is stopped is none whose death fails the start.
    assert supervisor.done[1:] == [f"stop {PRELOADED}"]
    assert forks.fork(REQUEST, (1, 2)) is None


def test_a_request_that_no_fork_server_reads_whole_is_not_sent() -> None:
    """What was forked read a part of it and ended, and nobody could tell why."""
    asked: list[str] = []

    def ask(name: str, *_: object) -> bytes:
        asked.append(name)
        return b"7"

    server = ForkServer("server", ask)
    server.heard(READY)
    long = ForkRequest("insight", [], {"LONG": "x" * REQUEST_BYTES_MAX})
    assert server.fork(long, ()) is None
    assert not asked
    assert server.fork(REQUEST, ()) is not None
