"""Very many customers in one process: raw WebSockets on one epoll, no event loop between.

`latency`: reads the time in every frame and notes POST → frame, on this machine's one clock.
`pump`: also publishes, straight to Redis, each round as soon as enough frames of the rounds
before have arrived: finds the highest rate, and since every frame is awaited none can be missing.

Reads its plan (JSON) from standard input, says `ready`, runs from the next line on (`latency`
until the one after it), and writes what it saw as one line of JSON.
"""

import array
import json
import os
import resource
import select
import socket
import sys
import time
from dataclasses import asdict, dataclass, field

from bench.load.frames import PING, TEXT, Stamps, pong, split, upgrade
from bench.load.generator import SATURATED_CPU
from bench.load.percentiles import histogram, summary
from bench.load.resp import connect, pack
from common.processes.process import die_with_parent

# Handshakes that are under way together; the server's backlog holds more.
CONNECT_AT_ONCE = 256
CONNECT_TIMEOUT_S = 20.0
READ_BYTES = 65_536
# Rounds that may be under way in pump mode: enough that nobody waits, few enough to fit sockets.
ROUNDS_AHEAD = 4
STALLED_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Whom to watch, and in pump mode what to publish. `paths` has one entry a socket."""

    port: int
    paths: list[str]
    seconds: float = 0.0
    redis_url: str = ""
    # Channel of each publication of a round, in its order. Rounds take the payloads in turn:
    # the same bytes twice would be a redelivery, which is not shown again.
    channels: list[str] = field(default_factory=list)
    payloads: list[str] = field(default_factory=list)
    # Bytes of one frame in pump mode.
    frame_bytes: int = 0


@dataclass(slots=True)
class Report:
    """What arrived after the start."""

    sockets: int
    frames: int
    seconds: float
    frames_per_s: float
    missing: int
    closed: int
    latency_ms: dict[str, float]
    histogram: list[int]
    cpu_share: float
    saturated: str


class Watcher:
    """All sockets of this process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._partial: dict[int, bytes] = {}
        self._scratch = bytearray(READ_BYTES)
        self._stamps = Stamps()
        self._latencies = array.array("d")
        self.frames = 0
        self.closed = 0

    def connect(self) -> None:
        """Open all sockets and have them upgraded. Raises `RuntimeError` when one is refused."""
        paths = self._plan.paths
        for first in range(0, len(paths), CONNECT_AT_ONCE):
            opened = []
            for path in paths[first : first + CONNECT_AT_ONCE]:
                sock = socket.create_connection(("127.0.0.1", self._plan.port), CONNECT_TIMEOUT_S)
                sock.sendall(upgrade(path, f"127.0.0.1:{self._plan.port}"))
                opened.append(sock)
            for sock in opened:
                self._partial[sock.fileno()] = _upgraded(sock)
                sock.setblocking(False)
                self._sockets[sock.fileno()] = sock
                self._epoll.register(sock, select.EPOLLIN)

    def watch(self) -> Report:
        """Note latencies until a line comes on standard input."""
        self._epoll.register(sys.stdin, select.EPOLLIN)
        stdin = sys.stdin.fileno()
        begin_s, used_s, begun = time.monotonic(), _cpu_s(), time.time()
        running = True
        while running:
            for fd, _ in self._epoll.poll(1.0):
                if fd == stdin:
                    running = False
                else:
                    self._take(fd, begun)
        span_s = time.monotonic() - begin_s
        return self._report(span_s, (_cpu_s() - used_s) / span_s, missing=0)

    def _take(self, fd: int, begun: float) -> None:
        data = self._read(fd)
        now = time.time()
        before = self._partial.pop(fd, b"")
        frames, rest = split(before + data)
        if rest:
            self._partial[fd] = rest
        for kind, payload in frames:
            if kind == TEXT:
                stamp = self._stamps.read(payload)
                # What is older was shown by way of greeting.
                if stamp is not None and stamp >= begun:
                    self.frames += 1
                    self._latencies.append((now - stamp) * 1000)
            elif kind == PING:
                self._sockets[fd].send(pong(payload))

    def _read(self, fd: int) -> bytes:
        try:
            data = self._sockets[fd].recv(READ_BYTES)
        except OSError:
            data = b""
        if not data:
            self._lose(fd)
        return data

    def _count(self, fd: int) -> int:
        """How much came, without making an object of it."""
        try:
            size = self._sockets[fd].recv_into(self._scratch)
        except OSError:
            size = 0
        if not size:
            self._lose(fd)
        return size

    def _lose(self, fd: int) -> None:
        self.closed += 1
        self._epoll.unregister(fd)
        self._sockets.pop(fd).close()

    def pump(self) -> Report:
        """Publish and count for the plan's time, then wait for what is still under way."""
        plan = self._plan
        redis = connect(plan.redis_url)
        rounds = [
            b"".join(pack(("PUBLISH", c, payload)) for c in plan.channels)
            for payload in plan.payloads
        ]
        round_bytes = len(plan.paths) * plan.frame_bytes
        self._epoll.register(redis, select.EPOLLIN)
        # Bytes by socket: pings come in between, so only whole frames of each are counted.
        heard = {fd: len(rest) for fd, rest in self._partial.items()}
        begin_s, used_s = time.monotonic(), _cpu_s()
        end_s = heard_s = begin_s + plan.seconds
        seen, published, ended_s = sum(heard.values()), 0, begin_s
        while True:
            now_s = time.monotonic()
            if now_s < end_s and published * round_bytes - seen < ROUNDS_AHEAD * round_bytes:
                redis.sendall(rounds[published % len(rounds)])
                published += 1
            for fd, _ in self._epoll.poll(0.1):
                if fd == redis.fileno():
                    redis.recv_into(self._scratch)
                else:
                    size = self._count(fd)
                    heard[fd] += size
                    seen += size
                    heard_s = ended_s = time.monotonic()
            if now_s >= end_s:
                whole = published * plan.frame_bytes
                if now_s - heard_s > STALLED_S or all(n >= whole for n in heard.values()):
                    break
        redis.close()
        span_s = ended_s - begin_s
        self.frames = sum(min(n // plan.frame_bytes, published) for n in heard.values())
        missing = published * len(plan.paths) - self.frames
        return self._report(span_s, (_cpu_s() - used_s) / span_s, missing)

    def _report(self, span_s: float, cpu_share: float, missing: int) -> Report:
        over = cpu_share >= SATURATED_CPU
        return Report(
            sockets=len(self._plan.paths),
            frames=self.frames,
            seconds=round(span_s, 3),
            frames_per_s=round(self.frames / span_s, 1),
            missing=missing,
            closed=self.closed,
            latency_ms=summary(self._latencies),
            histogram=histogram(self._latencies),
            cpu_share=round(cpu_share, 3),
            saturated=f"watcher saturated: {cpu_share:.0%} of a core" if over else "",
        )

    def close(self) -> None:
        """Leave."""
        for sock in self._sockets.values():
            sock.close()


def _upgraded(sock: socket.socket) -> bytes:
    """Read the answer to the handshake; what came behind it."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = sock.recv(4096)
        if not part:
            break
        data += part
    if not data.startswith(b"HTTP/1.1 101"):
        raise RuntimeError(f"refused: {data[:200]!r}")
    return data.partition(b"\r\n\r\n")[2]


def _line() -> bytes:
    """A line of standard input, and nothing behind it: the next one must wake the epoll."""
    line = b""
    while not line.endswith(b"\n") and (part := os.read(0, 1)):
        line += part
    return line


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _main() -> None:
    plan = Plan(**json.loads(_line()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    watcher = Watcher(plan)
    watcher.connect()
    print("ready", flush=True)
    _line()
    report = watcher.pump() if plan.channels else watcher.watch()
    watcher.close()
    print(json.dumps(asdict(report)), flush=True)


if __name__ == "__main__":
    die_with_parent()
    _main()
