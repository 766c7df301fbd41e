"""A process that has loaded a program once, and forks it whenever its supervisor asks.

A start costs a second of imports and 50 MB that are the same in each process. Forked, it costs
some milliseconds, and what was loaded is shared. The server has one thread and no event loop, so
nothing can be half done at a fork. What it forks becomes the supervisor's own child: it forks
twice and the process between them ends, whereupon the kernel hands its child to the supervisor
(which adopts orphans). So the supervisor signals, watches and reaps it like any other.
"""

import contextlib
import gc
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable

import msgspec

from common.processes.heartbeat import BEAT, BEAT_EVERY_S, HEARTBEAT_FD_ENV
from common.processes.process import set_name

# What the server says once it can fork.
READY = b"ready"
REQUEST_BYTES_MAX = 65_536
# Between two looks whether the process between us and the supervisor has ended: it ends at once.
ADOPTED_POLL_S = 0.0005


class ForkRequest(msgspec.Struct):
    """A process that is wanted. With it come descriptors: of its heartbeat if it `beats`, and of
    its output and its errors.
    """

    name: str
    # What the program finds in `sys.argv`.
    argv: list[str]
    env: dict[str, str]
    # Whether `env` is its whole environment; else it comes on top of the server's own.
    env_alone: bool = False
    beats: bool = True


_decode = msgspec.json.Decoder(ForkRequest).decode
DESCRIPTORS_MAX = 3


def serve(run: Callable[[], int]) -> int:
    """Fork for each request, and call `run` in what was forked, until the supervisor is gone."""
    connection = socket.socket(fileno=int(os.environ.pop(HEARTBEAT_FD_ENV)))
    connection.set_inheritable(False)
    connection.settimeout(BEAT_EVERY_S)
    # What is loaded now stays: the collector of what is forked need not look at it, and touch it.
    gc.collect()
    gc.freeze()
    connection.send(READY)
    while True:
        # A supervisor that is busy and reads nothing for a while is no trouble.
        with contextlib.suppress(TimeoutError):
            connection.send(BEAT)
            if not connection.recv(1, socket.MSG_PEEK):
                return 0
            connection.send(b"%d" % _fork(connection, run))


def _fork(connection: socket.socket, run: Callable[[], int]) -> int:
    """The pid of a new child of the supervisor; 0 when the machine allows no more processes.

    The request is read by the child alone: it may hold secrets, which stay in the memory of the
    process that reads it. If the server read it, all later children would have them, too.
    """
    read_fd, write_fd = os.pipe()
    try:
        between = os.fork()
    except OSError:
        between = -1
    if between == 0:
        try:
            _fork_again(connection, run, (read_fd, write_fd))
        finally:
            os._exit(0)
    os.close(write_fd)
    text = os.read(read_fd, 32)
    os.close(read_fd)
    if between > 0:
        os.waitpid(between, 0)
    if not text:
        # Nobody has read it.
        with contextlib.suppress(BlockingIOError):
            _, descriptors = _receive(connection, socket.MSG_DONTWAIT)
            for descriptor in descriptors:
                os.close(descriptor)
    return int(text or 0)


def _fork_again(connection: socket.socket, run: Callable[[], int], pipe: tuple[int, int]) -> None:
    between = os.getpid()
    if os.fork():
        return
    message, descriptors = _receive(connection)
    os.write(pipe[1], b"%d" % os.getpid())
    for fd in pipe:
        os.close(fd)
    connection.close()
    while os.getppid() == between:
        time.sleep(ADOPTED_POLL_S)
    os._exit(_run(_decode(message), descriptors, run))


def _receive(connection: socket.socket, flags: int = 0) -> tuple[bytes, list[int]]:
    message, descriptors, _, _ = socket.recv_fds(
        connection, REQUEST_BYTES_MAX, DESCRIPTORS_MAX, flags
    )
    return message, descriptors


def _run(request: ForkRequest, descriptors: list[int], run: Callable[[], int]) -> int:
    """Be what was asked for. As the interpreter would end, but for what the server had loaded."""
    # In a session of its own, as whatever a supervisor starts.
    os.setsid()
    set_name(request.name)
    for number, descriptor in zip((1, 2), descriptors[request.beats :], strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = request.argv
    if request.env_alone:
        os.environ.clear()
    os.environ.update(request.env)
    if request.beats:
        os.environ[HEARTBEAT_FD_ENV] = str(descriptors[0])
    try:
        status = run()
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    except BaseException:  # the last frame of a process: whatever came is said
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    return status
