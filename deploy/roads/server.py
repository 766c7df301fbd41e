"""One `osrm-routed`: started, watched, started again, and replaced without a gap.

Two of them can listen at the same port (SO_REUSEPORT). So a graph is swapped by starting a second
server, and asking the first to leave once the second listens. Who was connected to the first finds
the connection closed and asks once more, as every client of ours does.
"""

import asyncio
import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from common.backoff import Backoff
from common.errors import FleetlineError
from common.log import Repeated, get
from common.processes.process import set_parent_death_signal
from deploy.roads.executables import RoadPrograms

# Threads of a server: a large matrix must not hold up a way. More of them take cores from the
# roles beside it.
THREADS = 2
# It gives way to the processes that fixes pass through.
NICE = 5
# Longest sides of a matrix, and fixes of a match, that it takes.
TABLE_SIZE_MAX, MATCH_SIZE_MAX = 1000, 1000
# A large graph is mapped, not read: it listens within seconds.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 3.0
LOOK_EVERY_S = 0.02
RESTARTS = Backoff(0.1, 5.0)
# A run of this length was a good one.
HEALTHY_AFTER_S = 5.0
_LISTENING = "0A"
# It has no roads there, and says so at once.
_QUESTION = b"GET /nearest/v1/car/0,0 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ANSWER_TIMEOUT_S = 3.0

_log = get("roads")


class ServerFailed(FleetlineError):
    """It ended while starting, or did not listen in time."""


@dataclass(frozen=True, slots=True)
class ServerSite:
    """What stays when its graph is swapped."""

    name: str
    programs: RoadPrograms
    port: int
    # Where its pid stands while it lives.
    pid_file: Path | None = None


class RoadServer:
    """Serves one graph at a time until it is told otherwise."""

    def __init__(self, site: ServerSite) -> None:
        self.site = site
        self.restarts = 0
        self.since = time.time()
        self._stem: Path | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._short_runs = 0
        self._started_s = 0.0
        self._again_s = 0.0
        self._changing = asyncio.Lock()
        self._trouble = Repeated(_log, "roads.died")

    @property
    def stem(self) -> Path | None:
        """The graph that is served: the path without kinds."""
        return self._stem

    @property
    def pid(self) -> int | None:
        """Pid of the process, if one runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def serve(self, stem: Path) -> None:
        """Serve this graph from now on. Raises `ServerFailed`: the one before goes on."""
        async with self._changing:
            before, self._process = self._process, await self._start(stem)
            self._stem = stem
            self._note()
            if before is not None:
                await _stop(before)

    async def watch(self) -> None:
        """Start the process again if it has ended. Never raises for it."""
        async with self._changing:
            await self._restart()

    async def _restart(self) -> None:
        ended, now_s = self._process, time.monotonic()
        if ended is None or ended.returncode is None or self._stem is None or now_s < self._again_s:
            return
        if now_s - self._started_s >= HEALTHY_AFTER_S:
            self._short_runs = 0
        self._trouble.failed(engine=self.site.name, status=ended.returncode)
        self.restarts += 1
        try:
            self._process = await self._start(self._stem)
            self._note()
        except (ServerFailed, OSError) as e:
            self._trouble.failed(engine=self.site.name, error=str(e))
        self._short_runs += 1
        self._again_s = time.monotonic() + RESTARTS.delay_s(self._short_runs)

    async def stop(self) -> None:
        """End it."""
        async with self._changing:
            process, self._process, self._stem = self._process, None, None
            if process is not None:
                await _stop(process)
        if self.site.pid_file is not None:
            self.site.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End a process that answers nothing any more; `watch` starts another."""
        if self._process is not None and self._process.returncode is None:
            _log.error("roads.silent", engine=self.site.name, pid=self._process.pid)
            self._process.kill()

    async def answers(self) -> bool:
        """Whether it answers a question now, or is not meant to run."""
        if self.pid is None:
            return True
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.site.port)
                try:
                    writer.write(_QUESTION)
                    return (await reader.read(5)).startswith(b"HTTP/")
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False

    async def _start(self, stem: Path) -> asyncio.subprocess.Process:
        site = self.site
        self._started_s = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            site.programs.path("osrm-routed"),
            str(stem),
            # A loopback address, and no line for each question: those would hold positions.
            *("--ip", "127.0.0.1", "--port", str(site.port), "--verbosity", "WARNING"),
            *("--algorithm", "mld", "--mmap", "1", "--threads", str(THREADS)),
            *("--max-table-size", str(TABLE_SIZE_MAX)),
            *("--max-matching-size", str(MATCH_SIZE_MAX)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            preexec_fn=_before_exec,
        )
        deadline_s = time.monotonic() + START_TIMEOUT_S
        try:
            while not listens(process.pid, site.port):
                if process.returncode is not None:
                    raise ServerFailed(f"osrm-routed ended with {process.returncode}")
                if time.monotonic() > deadline_s:
                    raise ServerFailed(f"osrm-routed does not listen at port {site.port}")
                await asyncio.sleep(LOOK_EVERY_S)
        except BaseException:
            await _stop(process)
            raise
        return process

    def _note(self) -> None:
        self.since = time.time()
        if self.site.pid_file is not None and self._process is not None:
            self.site.pid_file.write_text(f"{self._process.pid}\n")


def listens(pid: int, port: int) -> bool:
    """Whether the process `pid` listens at `port`, whoever else does."""
    sockets = set()
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as files:
        for file in files:
            # A file may be closed between its listing and this.
            with contextlib.suppress(OSError):
                target = str(Path(file.path).readlink())
                if target.startswith("socket:["):
                    sockets.add(target[8:-1])
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            at = int(fields[1].rpartition(":")[2], 16)
            if fields[3] == _LISTENING and at == port and fields[9] in sockets:
                return True
    return False


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _before_exec() -> None:
    os.nice(NICE)
    set_parent_death_signal(signal.SIGTERM)
