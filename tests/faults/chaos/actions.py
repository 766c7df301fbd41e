"""What is done to a running stack: by pid, only its own processes, and undone in time."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import psutil
import redis
import redis.asyncio
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.faults.chaos.plan import Step
from tests.faults.chaos.windows import Window, recovery_s
from tests.stack import Stack
from tests.wait import pace

Say = Callable[[str], None]
REDIS_TROUBLE = (redis.RedisError, OSError)


def redis_client(stack: Stack, timeout_s: float = 1.0) -> Any:
    """A client that tries nothing twice: what it sends may be counted."""
    return redis.asyncio.from_url(
        stack.redis_url,
        protocol=2,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )


class Actions:
    """Carries out steps. `done` counts them by verb and target, `windows` says when."""

    def __init__(self, stack: Stack, say: Say) -> None:
        self._stack = stack
        self._say = say
        self._thawing: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()
        self._began_s = time.monotonic()
        self.windows: list[Window] = []
        # Redis' own limit, asked before it is ever changed.
        self._memory = ""

    async def carry_out(self, step: Step) -> None:
        """One step. What lasts goes on in the background; only `up` is waited for."""
        match step.verb:
            case "kill" if step.target == "up":
                await self._restart_up()
            case "kill":
                self._signal(step, signal.SIGKILL, self._targets(step)[:1])
            case "term":
                self._signal(step, signal.SIGTERM, self._targets(step)[:1])
            case "freeze":
                if frozen := self._signal(step, signal.SIGSTOP, self._targets(step)):
                    self._later(_thaw_after(frozen, step.for_s))
            case "cut":
                await self._cut(step)
            case "fill":
                self._later(self._fill(step))

    async def end(self) -> None:
        """Undo what still lasts."""
        await asyncio.gather(*self._thawing)

    def _later(self, what: Any) -> None:
        task = asyncio.create_task(what)
        self._thawing.add(task)
        task.add_done_callback(self._thawing.discard)

    def _targets(self, step: Step) -> list[psutil.Process]:
        role = {"consumer": f"consumer-{step.shard}", "ingest-worker": "ingest"}.get(
            step.target, step.target
        )
        pid = self._stack.pid(role)
        with contextlib.suppress(psutil.NoSuchProcess):
            if pid is not None:
                process = psutil.Process(pid)
                if step.target == "ingest-worker":
                    return list(process.children())
                # A stopped postmaster alone would stop nobody: its backends go on.
                others = process.children() if role == "postgres" else []
                return [process, *others]
        return []

    def _signal(
        self, step: Step, number: signal.Signals, processes: Iterable[psutil.Process]
    ) -> list[psutil.Process]:
        reached = []
        for process in processes:
            # psutil compares start times: a pid that was given away again is never hit.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                reached.append(process)
        if reached:
            lasts = f" for {step.for_s:g} s" if number is signal.SIGSTOP else ""
            window = self._note(step, f"pid {reached[0].pid}{lasts}")
            if number is signal.SIGSTOP:
                window.to_s += step.for_s
        return reached

    async def _restart_up(self) -> None:
        await self.end()
        window = self._note(
            Step(0, "kill", "up", 0, 0), "and all that hangs on it; starting it again"
        )
        try:
            await asyncio.to_thread(self._stack.kill)
            await asyncio.to_thread(self._stack.start)
        finally:
            window.to_s = self._now_s()

    async def _cut(self, step: Step) -> None:
        try:
            async with asyncio.timeout(2):
                await (self._cut_redis() if step.target == "redis" else self._cut_postgres())
        except (*REDIS_TROUBLE, TimeoutError, psutil.NoSuchProcess) as e:
            self._say(f"cut {step.target}: not there ({type(e).__name__})")
        else:
            self._note(step, "all connections")

    async def _cut_redis(self) -> None:
        async with redis_client(self._stack) as client:
            await client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            await client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    async def _cut_postgres(self) -> None:
        """Its backends end one by one; unlike SIGKILL that does not make it recover."""
        pid = self._stack.pid("postgres")
        for backend in psutil.Process(pid).children() if pid is not None else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                if " fleetline fleetline " in " ".join(backend.cmdline()):
                    backend.terminate()

    async def _fill(self, step: Step) -> None:
        """No memory for a while. A Redis that is killed meanwhile forgets the limit, too."""
        try:
            async with redis_client(self._stack) as client:
                if not self._memory:
                    self._memory = (await client.config_get("maxmemory"))["maxmemory"]
                await client.config_set("maxmemory", 1)
            window = self._note(step, f"maxmemory for {step.for_s:g} s")
        except REDIS_TROUBLE as e:
            self._say(f"fill redis: not there ({type(e).__name__})")
            return
        window.to_s += step.for_s
        await pace(step.for_s)
        for _ in range(50):
            with contextlib.suppress(*REDIS_TROUBLE):
                async with redis_client(self._stack) as client:
                    await client.config_set("maxmemory", self._memory)
                    window.to_s = self._now_s()
                return
            await pace(0.2)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _note(self, step: Step, detail: str) -> Window:
        """Say and count it; its window is a moment until somebody makes it longer."""
        self.done[f"{step.verb} {step.target}"] += 1
        shard = f"-{step.shard}" if step.target == "consumer" else ""
        self._say(f"{step.verb} {step.target}{shard}: {detail}")
        now_s, recovering_s = self._now_s(), recovery_s(step.verb, step.for_s)
        window = Window(step.target, step.shard, now_s, now_s, recovering_s)
        self.windows.append(window)
        return window


async def _thaw_after(processes: Iterable[psutil.Process], seconds: float) -> None:
    await pace(seconds)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
