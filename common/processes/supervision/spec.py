"""What a supervisor has to know of a child: values, no behaviour."""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from common.processes.fork_server import ForkRequest
from common.processes.supervision.forking import Running
from common.processes.supervision.policy import RestartPolicy

# What is wanted, and the descriptors that go with it.
Fork = Callable[[ForkRequest, Sequence[int]], Running | None]


class State(StrEnum):
    """Where a child is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    FAILED = "failed"
    DRAINING = "draining"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child. Times in seconds."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    # Whether it has the supervisor's environment too; False: `env` is all it is told.
    inherits_env: bool = True
    cwd: Path | None = None
    # The log, bounded, that its output stands in; None: it goes where the supervisor's goes.
    log_file: Path | None = None
    # Where its pid stands while it lives.
    pid_file: Path | None = None
    # Answers at once whether the child does its work; None: it does as soon as it runs.
    ready: Callable[[], bool] | None = None
    # Called before every start: what an earlier run left behind goes away here.
    prepare: Callable[[], None] | None = None
    # Called in the child before exec: a change of user. Must not allocate much or take locks.
    become: Callable[[], None] | None = None
    # A child that lives and does not beat for this long is killed; None: it does not beat.
    heartbeat_timeout_s: float | None = None
    # What may have the program loaded already: asked before `argv` is run. It must work in the
    # folder and as the user that are wanted here.
    fork: Fork | None = None
    # False: watched only once it has beaten for the first time.
    beats_from_start: bool = True
    # Patience until the first beat, if that is more. Loading a program takes a second, and many
    # where the cores are full: killed in the middle of it, a child never gets to its work.
    first_beat_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    # Its share of the common deadline when everything stops; then it is killed.
    stop_timeout_s: float = 8.0
    # What the kernel sends it when the supervisor dies.
    orphan_signal: signal.Signals = signal.SIGTERM
    policy: RestartPolicy = field(default_factory=RestartPolicy)
    # The child is expected to end by itself: status 0 is success, anything else stops the start.
    once: bool = False
