"""One child process: start it, read its beats, stop it. Decides nothing.

It leads a session of its own, so a terminal's Ctrl-C reaches only the supervisor, and what it
leaves behind can be killed as a group.
"""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence

from common.processes import process
from common.processes.fork_server import ForkRequest
from common.processes.heartbeat import BEAT, BEAT_EVERY_S, HEARTBEAT_FD_ENV, REPORT_BYTES_MAX
from common.processes.supervision.forking import Running
from common.processes.supervision.policy import Record
from common.processes.supervision.spec import ChildSpec, State

# After SIGABRT a child gets this long to write its stacks.
ABORT_GRACE_S = 2.0
# More than the kernel holds of a child's messages; one that never stops must not hold up the loop.
MESSAGES_A_TURN = 256


class Child:
    """A spec, its process if there is one, and its history."""

    def __init__(self, spec: ChildSpec, output: int | None = None) -> None:
        self.spec = spec
        # Descriptor that it writes to; None: where the supervisor's goes.
        self._output = output
        self.state = State.STOPPED
        self.since = time.time()
        self.restarts = 0
        # Whether it is wanted no more: it is forgotten once it has ended.
        self.retired = False
        self.record = Record()
        # Monotonic seconds: next start, the moment it became ready, last beat, end of a grace.
        self.start_at_s = 0.0
        self.ready_at_s: float | None = None
        self.beat_at_s: float | None = None
        self.kill_at_s: float | None = None
        self.heartbeat_fd: int | None = None
        self._process: Running | None = None

    @property
    def pid(self) -> int | None:
        """Pid of the running process."""
        return self._process.pid if self._process is not None else None

    def enter(self, state: State) -> None:
        """Note a new state and since when."""
        if state is not self.state:
            self.state = state
            self.since = time.time()

    def spawn(self) -> None:
        """Start the process. The one before must have been reaped."""
        if self._process is not None:
            raise RuntimeError(f"{self.spec.name} runs already")
        if self.spec.prepare is not None:
            self.spec.prepare()
        beats = self.spec.heartbeat_timeout_s is not None
        read_fd, write_fd = _message_pair() if beats else (-1, -1)
        try:
            with contextlib.ExitStack() as stack:
                if beats:
                    stack.callback(os.close, write_fd)
                self._process = self._fork(write_fd) or self._open(write_fd)
        except BaseException:
            if beats:
                os.close(read_fd)
            raise
        now_s = time.monotonic()
        if beats:
            os.set_blocking(read_fd, False)
            self.heartbeat_fd = read_fd
        self.ready_at_s = None
        self.kill_at_s = None
        self.beat_at_s = None
        if self.spec.beats_from_start:
            early_s = self.spec.first_beat_s - (self.spec.heartbeat_timeout_s or 0.0)
            self.beat_at_s = now_s + max(0.0, early_s)
        self.enter(State.STARTING)
        self._write_pid()

    def _fork(self, write_fd: int) -> Running | None:
        if self.spec.fork is None:
            return None
        beats = write_fd >= 0
        request = ForkRequest(
            self.spec.name,
            # Without the interpreter and its -m.
            list(self.spec.argv[2:]),
            {**self.spec.env, process.PARENT_PID_ENV: str(os.getpid())},
            env_alone=not self.spec.inherits_env,
            beats=beats,
        )
        outputs = (1, 2) if self._output is None else (self._output, self._output)
        return self.spec.fork(request, (*((write_fd,) if beats else ()), *outputs))

    def _open(self, write_fd: int) -> Running:
        own = os.environ if self.spec.inherits_env else {}
        env = {**own, **self.spec.env, process.PARENT_PID_ENV: str(os.getpid())}
        env.pop(HEARTBEAT_FD_ENV, None)
        if write_fd >= 0:
            env[HEARTBEAT_FD_ENV] = str(write_fd)
        return subprocess.Popen(
            self.spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            env=env,
            cwd=self.spec.cwd,
            pass_fds=(write_fd,) if write_fd >= 0 else (),
            start_new_session=True,
            # Safe: the supervisor has one thread, so no lock can be held at the fork.
            preexec_fn=self._before_exec,  # noqa: PLW1509
        )

    def ask(self, message: bytes, descriptors: Sequence[int], timeout_s: float) -> bytes | None:
        """Send it a message with descriptors; what it answers beside its beats, None if nothing.

        What it said before and was not read is lost.
        """
        if self.heartbeat_fd is None:
            return None
        until_s = time.monotonic() + timeout_s
        with socket.socket(fileno=os.dup(self.heartbeat_fd)) as connection:
            connection.setblocking(False)
            try:
                for said in iter(lambda: _read_now(connection), None):
                    if not said:
                        return None
                socket.send_fds(connection, [message], list(descriptors))
                while (left_s := until_s - time.monotonic()) > 0:
                    select.select([connection], [], [], left_s)
                    answer = _read_now(connection)
                    if answer is not None and answer != BEAT:
                        return answer or None
            except OSError:
                # It died. Its end is noticed where all ends are.
                return None
        return None

    def _before_exec(self) -> None:
        if self.spec.become is not None:
            self.spec.become()
        # After the change of user, which clears it.
        process.set_parent_death_signal(self.spec.orphan_signal)

    def read_messages(self) -> Iterator[bytes]:
        """Read what waits: note the beats, and give the rest."""
        for _ in range(MESSAGES_A_TURN):
            if self.heartbeat_fd is None:
                return
            try:
                message = os.read(self.heartbeat_fd, REPORT_BYTES_MAX)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if message == BEAT:
                if self.state is not State.DRAINING and self.kill_at_s is None:
                    self.beat_at_s = time.monotonic()
            elif message:
                yield message
            else:
                # All writers are gone; the exit follows. A closed pipe must not spin the loop.
                self._close_heartbeat()

    def silent_at_s(self) -> float | None:
        """When the patience with a child that does not beat ends."""
        if self.pid is None or self.beat_at_s is None or self.spec.heartbeat_timeout_s is None:
            return None
        # A child writes once in BEAT_EVERY_S: less patience than two of them kills the healthy.
        return self.beat_at_s + max(self.spec.heartbeat_timeout_s, 2 * BEAT_EVERY_S)

    def abort(self) -> None:
        """SIGABRT: Python writes the stacks of all threads into its log; SIGKILL follows."""
        self.kill_at_s = time.monotonic() + ABORT_GRACE_S
        self.beat_at_s = None
        self.signal(signal.SIGABRT)

    def signal(self, number: int) -> None:
        """Signal the process itself; silent if it is gone."""
        if self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL to its whole group."""
        if self._process is not None:
            process.signal_group(self._process.pid, signal.SIGKILL)

    def has_ended(self) -> bool:
        """Whether it has ended and can be reaped."""
        return self._process is not None and self._process.poll() is not None

    def reap(self) -> int | None:
        """Exit status if it has ended (negative: a signal); what it left in its group is killed."""
        if self._process is None:
            return None
        status = self._process.poll()
        if status is None:
            return None
        process.signal_group(self._process.pid, signal.SIGKILL)
        self._process = None
        self._close_heartbeat()
        if self.spec.pid_file is not None:
            with contextlib.suppress(OSError):
                self.spec.pid_file.unlink(missing_ok=True)
        return status

    def _close_heartbeat(self) -> None:
        if self.heartbeat_fd is not None:
            os.close(self.heartbeat_fd)
            self.heartbeat_fd = None

    def _write_pid(self) -> None:
        if self.spec.pid_file is not None and self.pid is not None:
            partial = self.spec.pid_file.with_suffix(".new")
            partial.write_text(f"{self.pid}\n")
            partial.replace(self.spec.pid_file)


def _read_now(connection: socket.socket) -> bytes | None:
    """A message that waits, empty once there will be none; None while there is none."""
    try:
        return connection.recv(REPORT_BYTES_MAX)
    except BlockingIOError:
        return None


def _message_pair() -> tuple[int, int]:
    """Two descriptors: what is written to the second is read from the first, message by message."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return ours.detach(), theirs.detach()
