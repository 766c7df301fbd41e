"""A port that answers one kind of request, turned by whatever loop its process has.

A supervisor has one thread and no event loop, the fan-out has an event loop, ingest's main process
waits inside Granian: so this is a descriptor to wait for and a step that never blocks. What hangs
there is bounded: the newest connections stay, and nobody's request is longer than its limit.
"""

import contextlib
import selectors
import socket
from collections.abc import Callable
from dataclasses import dataclass

# Prometheus needs one or two. The oldest goes for a newcomer, so that no idle one shuts others out.
CONNECTIONS_MAX = 16
_READ_BYTES = 4096
_END = b"\r\n\r\n"


@dataclass(slots=True, eq=False)
class _Caller:
    sock: socket.socket
    head: bytes = b""
    # What is left to write; None while the head is read.
    answer: memoryview | None = None


class MetricsDoor:
    """`answer` makes the whole answer of a request's head, which has at most `head_bytes_max`."""

    def __init__(self, answer: Callable[[bytes], bytes], head_bytes_max: int) -> None:
        self._answer = answer
        self._head_bytes_max = head_bytes_max
        self._selector = selectors.EpollSelector()
        self._listener: socket.socket | None = None
        self._callers: dict[_Caller, None] = {}

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._listener is not None

    def open(self, host: str, port: int) -> None:
        """Listen. Raises `OSError`."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(CONNECTIONS_MAX)
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, None)
        except OSError:
            listener.close()
            raise
        self._listener = listener

    def fileno(self) -> int:
        """Readable when `turn` has something to do."""
        return self._selector.fileno()

    def turn(self) -> None:
        """Do what can be done now."""
        for key, _ in self._selector.select(0):
            caller = key.data
            if caller is None:
                self._accept()
            elif caller in self._callers:
                try:
                    self._advance(caller)
                except OSError:
                    self._drop(caller)

    def close(self) -> None:
        """Let go of all. A fork that closes what it inherited takes nothing from its parent."""
        self._selector.close()
        for sock in (self._listener, *(caller.sock for caller in self._callers)):
            if sock is not None:
                sock.close()
        self._listener = None
        self._callers.clear()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            sock, _ = self._listener.accept()  # type: ignore[union-attr]
            sock.setblocking(False)
            if len(self._callers) >= CONNECTIONS_MAX:
                self._drop(next(iter(self._callers)))
            caller = _Caller(sock)
            self._callers[caller] = None
            self._selector.register(sock, selectors.EVENT_READ, caller)

    def _advance(self, caller: _Caller) -> None:
        if caller.answer is None:
            data = caller.sock.recv(_READ_BYTES)
            caller.head += data
            head, end, _ = caller.head.partition(_END)
            if not data or len(head) > self._head_bytes_max:
                self._drop(caller)
                return
            if not end:
                return
            caller.answer = memoryview(self._answer(head))
            self._selector.modify(caller.sock, selectors.EVENT_WRITE, caller)
        with contextlib.suppress(BlockingIOError):
            caller.answer = caller.answer[caller.sock.send(caller.answer) :]
        if not caller.answer:
            # The end of what we say; a client that has more to say does not cut off our answer.
            caller.sock.shutdown(socket.SHUT_WR)
            self._drop(caller)

    def _drop(self, caller: _Caller) -> None:
        del self._callers[caller]
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._selector.unregister(caller.sock)
        caller.sock.close()
