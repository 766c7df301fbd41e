"""`make chaos`: breaks a running stack on purpose, then judges whether the promise held.

`python -m tests.faults.chaos --minutes 10 --seed 7`. It starts a stack of its own, sends, watches,
kills, freezes, cuts and fills as the seed says, waits for quiet, and compares its journal with
what is stored. Exit status 1 on any violation; logs and journal are kept then.
"""

import argparse
import asyncio
import contextlib
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.keys import shard_keys, shard_of
from tests.faults.chaos.actions import REDIS_TROUBLE, Actions, redis_client
from tests.faults.chaos.evidence import STREAM, gather_evidence, survivors, waiting
from tests.faults.chaos.fixes import poison, watched_driver
from tests.faults.chaos.journal import Journal, read_journal
from tests.faults.chaos.load import Load
from tests.faults.chaos.memory import Memories
from tests.faults.chaos.plan import Step, make_plan
from tests.faults.chaos.report import Round, print_report
from tests.faults.chaos.service import Waited, judge_service
from tests.faults.chaos.verdict import Verdict, judge
from tests.faults.chaos.watchers import Watchers
from tests.faults.chaos.windows import carrying, unexplained_s
from tests.stack import Stack
from tests.wait import pace, until

# Silence of a child is noticed sooner than by default, so that frozen ones are replaced.
QUICK = {"HEARTBEAT_TIMEOUT_S": "5", "DATABASE_TIMEOUT_S": "3"}
WATCHED = 10
POISON_SHARE = 0.01
# A stack that is whole again must come to rest in this time. A child that died too often is only
# tried every half minute.
QUIET_TIMEOUT_S = 90.0
# After the last fault the load goes on this long: everything must work again.
AFTERWARDS_S = 3.0
# By then every customer must see their driver move again.
LIVE_TIMEOUT_S = 20.0
SAMPLE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Options:
    """What a round is made of."""

    seed: int
    seconds: float
    shards: int = 4
    rate: float = 500.0
    drivers: int = 200
    pause_s: tuple[float, float] = (1.0, 4.0)
    steps: tuple[Step, ...] = field(default=())

    def plan(self) -> list[Step]:
        """The given steps, or those of the seed."""
        if self.steps:
            return list(self.steps)
        return make_plan(self.seed, self.seconds, self.shards, pause_s=self.pause_s)


async def run_round(stack: Stack, folder: Path, options: Options) -> Round:
    """A whole round on a stack that runs; leaves it running."""
    journal = Journal(folder / "journal.txt")
    began_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began_s:7.1f} s  {line}", flush=True)

    more = {"drivers": options.drivers, "watched": WATCHED}
    load = Load(stack.port, journal, seed=options.seed, rate=options.rate, **more)
    watchers, memories = Watchers(stack.port, WATCHED), Memories(stack, options.shards)
    actions = Actions(stack, say)
    sending, watching, poisoning = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(load.run(sending))
        group.create_task(watchers.run(watching))
        sampling = group.create_task(_sample(memories))
        poisoner = group.create_task(_poison(stack, journal, options, poisoning))
        await _carry_out(options.plan(), actions)
        await pace(began_s + options.seconds - time.monotonic())
        await actions.end()
        poisoning.set()
        await poisoner
        say("no more faults")
        await until(lambda: _whole(stack), timeout_s=QUIET_TIMEOUT_S, what="a whole stack")
        healed = [seen.frames for seen in watchers.seen]
        await pace(AFTERWARDS_S)
        with contextlib.suppress(TimeoutError):
            await until(lambda: _all_see(watchers, healed), timeout_s=LIVE_TIMEOUT_S)
        still_deaf = [n for n, seen in enumerate(watchers.seen) if seen.frames == healed[n]]
        watching.set()
        watched_s = time.monotonic() - began_s
        sending.set()
        await loading
        quiet_began_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await until(lambda: _quiet(stack, options.shards), timeout_s=QUIET_TIMEOUT_S)
        quiet_s = time.monotonic() - quiet_began_s
        sampling.cancel()
    journal.close()
    memories.sample()
    verdict = judge(read_journal(journal.path), await gather_evidence(stack, options.shards))
    for index in still_deaf:
        verdict.violate("live did not come back", f"order chaos-{index}")
    _judge_clients(load, watchers, actions, memories, options.shards, verdict)
    undisturbed_s = unexplained_s(0, watched_s, carrying(actions.windows, 0))
    return Round(
        options.seed,
        load,
        watchers.seen,
        actions.done,
        memories,
        verdict,
        quiet_s,
        undisturbed_s,
    )


def _judge_clients(  # noqa: PLR0917
    load: Load,
    watchers: Watchers,
    actions: Actions,
    memories: Memories,
    shards: int,
    verdict: Verdict,
) -> None:
    """What those who sent and watched have seen, and what the roles have grown."""
    judge_service(_waited(load, watchers, actions, memories, shards), verdict)
    for example in load.misjudged:
        verdict.violate("misjudged", example)
    for seen in watchers.seen:
        if seen.backwards:
            verdict.violate("frames went back in time", seen)
    for status in load.statuses.keys() - {202, 422, 503}:
        verdict.violate("odd answer", f"{load.statuses[status]} times {status}")


def _waited(
    load: Load, watchers: Watchers, actions: Actions, memories: Memories, shards: int
) -> Waited:
    return Waited(
        load.late,
        [
            (shard_of(watched_driver(index), shards), seen.gaps)
            for index, seen in enumerate(watchers.seen)
        ],
        actions.windows,
        memories.by_role,
    )


async def _carry_out(plan: list[Step], actions: Actions) -> None:
    began_s = time.monotonic()
    for step in plan:
        await pace(began_s + step.at_s - time.monotonic())
        at_s = time.monotonic()
        await actions.carry_out(step)
        # Time in which nothing could be done does not count: steps keep their distance.
        began_s += time.monotonic() - at_s


async def _poison(
    stack: Stack, journal: Journal, options: Options, stopping: asyncio.Event
) -> None:
    """Straight into the streams, past everything that would refuse it."""
    rng = random.Random(options.seed)
    number = 0
    while not stopping.is_set():
        number += 1
        stream = shard_keys(STREAM, rng.randrange(options.shards), options.shards).stream
        journal.poison(number, there=False)
        with contextlib.suppress(*REDIS_TROUBLE, TimeoutError):
            async with redis_client(stack) as client:
                await client.xadd(stream, {"e": poison(number, rng)})
                journal.poison(number, there=True)
        await pace(1 / (options.rate * POISON_SHARE))


async def _sample(memories: Memories) -> None:
    while True:
        memories.sample()
        await pace(SAMPLE_EVERY_S)


async def _whole(stack: Stack) -> bool:
    states = stack.states()
    return bool(states) and set(states.values()) <= {"running", "stopped"}


async def _all_see(watchers: Watchers, before: list[int]) -> bool:
    return all(seen.frames > n for seen, n in zip(watchers.seen, before, strict=True))


async def _quiet(stack: Stack, shards: int) -> bool:
    with contextlib.suppress(*REDIS_TROUBLE):
        async with redis_client(stack) as client:
            return await _whole(stack) and await waiting(client, shards) == (0, 0)
    return False


@contextlib.contextmanager
def kept_on_failure() -> Iterator[Path]:
    """A folder for everything; removed unless the block raises."""
    folder = Path(tempfile.mkdtemp(prefix="fleetline-chaos-"))
    try:
        yield folder
    except BaseException:
        print(f"journal and logs are kept in {folder}", flush=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--rate", type=float, default=500.0, help="fixes a second")
    given = parser.parse_args()
    options = Options(
        seed=given.seed, seconds=given.minutes * 60, shards=given.shards, rate=given.rate
    )
    # A plain stop of this program stops its stack, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"chaos: seed {options.seed}, {given.minutes:g} minutes, {options.rate:g} fixes/s")
    with kept_on_failure() as folder:
        stack = Stack(folder / "home", "--shards", str(options.shards), extra=QUICK)
        with stack:
            finished = asyncio.run(run_round(stack, folder, options))
        for survivor in survivors(stack.home):
            finished.verdict.violate("outlived the stack", survivor)
        print_report(finished)
        if finished.verdict.violations:
            sys.exit(1)
    return 0
