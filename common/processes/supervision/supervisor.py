"""The loop: wait for a signal, a death, a beat or a deadline; act; wait again.

Invariants: a child is started again only after the one before was reaped and what it left behind
was killed; everything stops under one shrinking deadline; a second stop signal kills at once.
"""

import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from common import log
from common.errors import EXIT_CONFIG, ConfigError, FleetlineError
from common.processes.heartbeat import Heartbeat
from common.processes.logs import Logs
from common.processes.signals import STOP_SIGNALS, SignalQueue
from common.processes.supervision.child import Child
from common.processes.supervision.children import READY_POLL_S, Children
from common.processes.supervision.observer import Observer
from common.processes.supervision.policy import Halt, StopNotice, judge, stop_until_s
from common.processes.supervision.spec import ChildSpec, State
from common.processes.supervision.starting import StartFailed, Stopped
from common.processes.supervision.state import StateFile
from common.processes.supervision.strays import PATIENCE_S, Strays

# Nothing to do: the loop still turns this often, to beat to a supervisor of its own.
IDLE_S = 1.0


_log = log.get("supervision")


class Supervisor:
    """Children in start order. Use as a context: leaving it drains whatever runs."""

    def __init__(
        self,
        name: str,
        *,
        drain_timeout_s: float,
        state_file: Path | None = None,
        heartbeat: Heartbeat | None = None,
        drain_together: bool = False,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drain_timeout_s = drain_timeout_s
        self._state_file = StateFile(state_file, name)
        self._heartbeat = heartbeat or Heartbeat(None)
        # Children that do not need each other are asked to stop at once: each has the whole time.
        self._drain_together = drain_together
        self._observer = observer
        self._clock = clock
        self._children = Children()
        self._logs = Logs()
        self._signals = SignalQueue((*STOP_SIGNALS, signal.SIGCHLD))
        self._stop_signals = 0
        self._draining = False
        self._status = 0
        self._strays = Strays()
        # Called with a line when a child dies or is back.
        self.announce: Callable[[str], None] = lambda _line: None

    def __enter__(self) -> Self:
        self._strays.begin()
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._drain()
        finally:
            self._logs.close()
            self._signals.__exit__(kind, error, trace)
            self._state_file.remove()

    def spawn(self, *specs: ChildSpec) -> None:
        """Start children, in this order, without waiting for them."""
        for spec in specs:
            log_file = spec.log_file
            child = Child(spec, self._logs.open(log_file) if log_file is not None else None)
            self._children.add(child)
            self._spawn(child)
        self._write_state()

    def _spawn(self, child: Child) -> None:
        child.spawn()
        if self._observer is not None:
            self._observer.began(child.spec.name)

    def await_ready(self, timeout_s: float, check: Callable[[], bool] = lambda: True) -> None:
        """Turn until all children are ready (or done, for `once`) and `check` says yes.

        Raises `StartFailed` or `Stopped`. While starting, a death is a failure, not a restart.
        """
        deadline_s = self._clock() + timeout_s
        while (late := self._children.not_ready()) or not check():
            if self._clock() > deadline_s:
                name = ", ".join(late) or "the stack"
                raise StartFailed(name, f"did not answer within {timeout_s:g} s")
            self._turn(READY_POLL_S)
            for name in self._children.down():
                raise StartFailed(name, "ended while starting")
            if self._stop_signals or self._status:
                raise Stopped("stopped while starting")

    def run(self) -> int:
        """Keep the children alive until a stop signal or a halt. Returns the exit status."""
        while not self._stop_signals and not self._status:
            self._turn(IDLE_S)
        return self._status

    @property
    def status(self) -> int:
        """Exit status so far: 0, or that of a child which cannot be mended by restarting."""
        return self._status

    def _turn(self, wait_s: float) -> None:
        """One step: wait, read beats, reap, restart."""
        self._wait(wait_s)
        self._children.excuse_standstill(self._clock())
        self._heartbeat.beat()
        self._stop_signals += sum(n in STOP_SIGNALS for n in self._signals.take())
        now_s = self._clock()
        died = False
        for child in self._children:
            # Asked first: what a child that has ended said before is all there to be read then.
            ended = child.has_ended()
            self._hear(child)
            status = child.reap() if ended else None
            if status is not None:
                died = True
                if self._observer is not None:
                    self._observer.ended(child.spec.name)
                self._after_death(child, status, now_s)
        for name in self._children.drop_retired():
            if self._observer is not None:
                self._observer.retired(name)
        if self._observer is not None:
            self._observer.turn()
        if died or self._strays.left:
            self._sweep(now_s)
        self._logs.revive()
        for child in self._children:
            self._advance(child, now_s)
        self._write_state()

    def _hear(self, child: Child) -> None:
        for message in child.read_messages():
            if self._observer is not None:
                self._observer.heard(child.spec.name, message)

    def _wait(self, most_s: float) -> None:
        now_s = self._clock()
        restart_after_s = READY_POLL_S if self._strays.hinder(now_s) else 0.0
        wait_s = self._children.wait_s(
            now_s, most_s, restart_after_s=None if self._draining else restart_after_s
        )
        with selectors.DefaultSelector() as selector:
            selector.register(self._signals.wake_fd, selectors.EVENT_READ)
            for child in self._children:
                if child.heartbeat_fd is not None:
                    selector.register(child.heartbeat_fd, selectors.EVENT_READ)
            if self._observer is not None and (fd := self._observer.fileno()) is not None:
                selector.register(fd, selectors.EVENT_READ)
            selector.select(wait_s)

    def _after_death(self, child: Child, status: int, now_s: float) -> None:
        ready_at_s, child.ready_at_s = child.ready_at_s, None
        if self._draining or child.retired or (child.spec.once and status == 0):
            child.enter(State.STOPPED)
            return
        facts = {"child": child.spec.name, "status": status}
        if child.spec.once:
            _log.error("child.failed", **facts)
            self._status = self._status or abs(status)
            child.enter(State.FAILED)
            return
        run_s = now_s - ready_at_s if ready_at_s is not None else 0.0
        verdict, child.record = judge(
            child.spec.policy, child.record, status=status, run_s=run_s, now_s=now_s
        )
        if isinstance(verdict, Halt):
            _log.error("child.halted", **facts)
            self._status = verdict.status
            child.enter(State.FAILED)
            return
        child.start_at_s = now_s + verdict.delay_s
        child.enter(State.FAILED if verdict.failed else State.BACKOFF)
        self.announce(f"{child.spec.name}: ended with {status}, again in {verdict.delay_s:.1f} s")
        _log.warning(
            "child.died", run_s=round(run_s, 1), delay_s=round(verdict.delay_s, 2), **facts
        )

    def _advance(self, child: Child, now_s: float) -> None:
        """Do what the time has come for: kill, abort, call ready, start again."""
        silent_at_s = child.silent_at_s()
        if child.kill_at_s is not None and now_s >= child.kill_at_s:
            child.kill_at_s = None
            child.kill()
        elif silent_at_s is not None and now_s >= silent_at_s:
            _log.error("child.silent", child=child.spec.name, pid=child.pid)
            child.abort()
        if child.state is State.STARTING and (child.spec.ready is None or child.spec.ready()):
            child.ready_at_s = now_s
            child.enter(State.RUNNING)
            if child.restarts:
                self.announce(f"{child.spec.name}: running again")
        if (
            child.state in {State.BACKOFF, State.FAILED}
            and not self._draining
            and not self._status
            and not self._stop_signals
            and not child.spec.once
            and not self._strays.hinder(now_s)
            and now_s >= child.start_at_s
        ):
            self._respawn(child)

    def _respawn(self, child: Child) -> None:
        child.restarts += 1
        if self._start(child):
            _log.info("child.restarted", child=child.spec.name, pid=child.pid)

    def _start(self, child: Child) -> bool:
        try:
            self._spawn(child)
        except ConfigError as e:
            _log.error("child.halted", child=child.spec.name, error=str(e))
            self._status = EXIT_CONFIG
        except (OSError, subprocess.SubprocessError, FleetlineError) as e:
            _log.error("child.not_started", child=child.spec.name, error=str(e))
            child.enter(State.BACKOFF)
            child.start_at_s = self._clock() + child.spec.policy.backoff.most_s
        else:
            return True
        return False

    def _sweep(self, now_s: float) -> None:
        self._strays.sweep({self._logs.pid, *self._children.pids()}, now_s)

    def _drain(self) -> None:
        """Stop in reverse start order: each has its share, all have one deadline.

        What a child leaves of its share is for those after it.
        """
        self._draining = True
        until_s = self._clock()
        deadline_s = until_s + self._drain_timeout_s
        asked = self._stop_signals
        if self._drain_together:
            for child in self._children:
                self._request_stop(child)
        for child in reversed(self._children):
            self._request_stop(child)
            until_s = stop_until_s(until_s, self._clock(), child.spec.stop_timeout_s, deadline_s)
            notice = StopNotice(child.spec.name, self._clock())
            while child.pid is not None and self._clock() < until_s and self._stop_signals <= asked:
                self._turn(min(IDLE_S, until_s - self._clock()))
                if child.pid is not None and (line := notice.due(self._clock(), until_s)):
                    self.announce(line)
            if child.pid is not None:
                self.announce(f"{child.spec.name}: has not stopped, and is killed")
                _log.warning("child.killed", child=child.spec.name, pid=child.pid)
            patient_until_s = self._clock() + PATIENCE_S
            while child.pid is not None and self._clock() < patient_until_s:
                child.kill()
                self._turn(READY_POLL_S)
        self._sweep(self._clock())
        while self._strays.hinder(self._clock()):
            self._turn(READY_POLL_S)
        left = self._children.running()
        if left or self._strays.left:
            # A killed process runs no more code; it ends when the kernel can end it.
            _log.error("killed.not_ended", children=left, strays=self._strays.left)

    def _request_stop(self, child: Child) -> None:
        if child.pid is None:
            child.enter(State.STOPPED)
        elif child.state is not State.DRAINING:
            child.enter(State.DRAINING)
            # Stopping is not progress: the deadline watches it now.
            child.beat_at_s = None
            child.signal(child.spec.stop_signal)

    def _write_state(self) -> None:
        try:
            self._state_file.write(self._children)
        except OSError as e:
            # A full disk must not take the stack down with it.
            _log.warning("state.not_written", error=str(e))
