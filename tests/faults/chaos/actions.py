"""What is done to a running stack: by pid, only its own processes, and undone in time."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import Any

import psutil

from tests.faults.chaos.plan import Step
from tests.faults.chaos.redis_servers import TROUBLE, RedisServers
from tests.faults.chaos.windows import RECOVERY_S, STORING, Window, recovery_s
from tests.stack import Stack
from tests.wait import pace

Say = Callable[[str], None]


class Actions:
    """Carries out steps. `done` counts them by verb and target, `windows` says when."""

    def __init__(self, stack: Stack, servers: RedisServers, say: Say) -> None:
        self._stack = stack
        self._servers = servers
        self._say = say
        self._thawing: set[asyncio.Task[None]] = set()
        self.done: Counter[str] = Counter()
        self._began_s = time.monotonic()
        self.windows: list[Window] = []
        # Redis' own limit, asked before it is ever changed.
        self._memory = ""

    async def carry_out(self, step: Step) -> None:
        """One step. What lasts goes on in the background; only `up`, and a cluster that is not
        whole yet or changes, are waited for.
        """
        if step.target in STORING:
            await self._servers.await_whole()
        match step.verb:
            case "kill" if step.target == "up":
                await self._restart_up()
            case "kill":
                await self._signal(step, signal.SIGKILL)
            case "term":
                await self._signal(step, signal.SIGTERM)
            case "freeze":
                if frozen := await self._signal(step, signal.SIGSTOP):
                    self._later(_thaw_after(frozen, step.for_s))
            case "lose":
                await self._lose(step)
            case "move":
                await self._servers.move(step.shard, self._say)
                self.done["move redis"] += 1
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

    def _processes(self, step: Step, role: str) -> list[psutil.Process]:
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

    async def _signal(self, step: Step, number: signal.Signals) -> list[psutil.Process]:
        slots = None
        role = {"consumer": f"consumer-{step.shard}", "ingest-worker": "ingest"}.get(
            step.target, step.target
        )
        if step.target in STORING:
            role, slots = await self._servers.struck(step.target, step.shard)
        processes = self._processes(step, role)
        reached = []
        for process in processes if number is signal.SIGSTOP else processes[:1]:
            # psutil compares start times: a pid that was given away again is never hit.
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
                reached.append(process)
        if reached:
            lasts = f" for {step.for_s:g} s" if number is signal.SIGSTOP else ""
            window = self._note(step, f"{role}, pid {reached[0].pid}{lasts}", slots)
            if number is signal.SIGSTOP:
                window.to_s += step.for_s
        return reached

    async def _lose(self, step: Step) -> None:
        """Kill a primary, and keep its machine from coming back until its replica took over."""
        role, slots = await self._servers.struck(step.target, step.shard)
        [process] = self._processes(step, role)
        process.send_signal(signal.SIGKILL)
        window = self._note(step, f"{role}, pid {process.pid}", slots)
        await self._servers.hold_until_replaced(role, step.shard, process.pid)
        window.to_s = self._now_s()
        self._say(f"{role} was replaced after {window.to_s - window.from_s:.1f} s")

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
        began_s = self._now_s()
        try:
            async with asyncio.timeout(2):
                await (self._cut_redis() if step.target == "redis" else self._cut_postgres())
        except (*TROUBLE, psutil.NoSuchProcess) as e:
            self._say(f"cut {step.target}: not there ({type(e).__name__})")
        else:
            self._note(step, "all connections").from_s = began_s

    async def _cut_redis(self) -> None:
        for kind in ("normal", "pubsub"):
            await self._servers.tell("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    async def _cut_postgres(self) -> None:
        """Its backends end one by one; unlike SIGKILL that does not make it recover."""
        pid = self._stack.pid("postgres")
        for backend in psutil.Process(pid).children() if pid is not None else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                if " fleetline fleetline " in " ".join(backend.cmdline()):
                    backend.terminate()

    async def _fill(self, step: Step) -> None:
        """No memory for a while. A Redis that is killed meanwhile forgets the limit, too."""
        began_s = self._now_s()
        try:
            if not self._memory:
                found = await self._servers.ask_one("CONFIG", "GET", "maxmemory")
                self._memory = found[1].decode()
            await self._servers.tell("CONFIG", "SET", "maxmemory", "1")
        except TROUBLE as e:
            self._say(f"fill redis: not there ({type(e).__name__})")
            return
        window = self._note(step, f"maxmemory for {step.for_s:g} s")
        window.from_s = began_s
        window.to_s += step.for_s
        await pace(step.for_s)
        for _ in range(50):
            with contextlib.suppress(*TROUBLE):
                await self._servers.tell_all("CONFIG", "SET", "maxmemory", self._memory)
                window.to_s = self._now_s()
                return
            await pace(0.2)

    def _now_s(self) -> float:
        return time.monotonic() - self._began_s

    def _note(self, step: Step, detail: str, slots: AbstractSet[int] | None = None) -> Window:
        """Say and count it; its window is a moment until somebody makes it longer."""
        self.done[f"{step.verb} {step.target}"] += 1
        shard = f"-{step.shard}" if step.target == "consumer" else ""
        self._say(f"{step.verb} {step.target}{shard}: {detail}")
        now_s, recovering_s = self._now_s(), recovery_s(step.verb, step.for_s)
        if slots is not None:
            # A node that only paused may have been replaced.
            recovering_s = RECOVERY_S
        window = Window(step.target, step.shard, now_s, now_s, recovering_s, slots)
        self.windows.append(window)
        return window


async def _thaw_after(processes: Iterable[psutil.Process], seconds: float) -> None:
    await pace(seconds)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)
