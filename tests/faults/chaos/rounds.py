"""A round: a stack runs, is broken by plan under load, comes to rest, and is judged."""

import asyncio
import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import hiredis

from common.errors import Overloaded
from common.keys import ENTRY_FIELD, STREAM_NAME, shard_keys, shard_of
from common.redis.nodes import Nodes
from common.redis.opening import new_nodes
from tests.faults.chaos.actions import Actions
from tests.faults.chaos.evidence import gather_evidence, waiting
from tests.faults.chaos.fixes import poison
from tests.faults.chaos.journal import Journal, read_journal
from tests.faults.chaos.load import Load
from tests.faults.chaos.memory import Memories
from tests.faults.chaos.plan import DECK, Card, Step, make_plan
from tests.faults.chaos.redis_servers import REDIS_TROUBLE, RedisServers, redis_client
from tests.faults.chaos.report import Round
from tests.faults.chaos.service import Refusal, Waited, judge_service
from tests.faults.chaos.verdict import Verdict, judge
from tests.faults.chaos.watchers import Readiness, Watchers
from tests.faults.chaos.windows import carrying, unexplained_s
from tests.stack import Stack
from tests.wait import pace, until

# Silence of a child is noticed sooner than by default, so that frozen ones are replaced.
QUICK = {"HEARTBEAT_TIMEOUT_S": "5", "DATABASE_TIMEOUT_S": "3"}
SHARDS, WATCHED = 4, 10
POISON_SHARE = 0.01
# Fixes a second of one driver, far from what is too fast.
DRIVER_RATE = 2.5
# A replica answers within this, or what is written may die with its primary.
COPY_TIMEOUT_MS = 500
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
    shards: int = SHARDS
    # Orders that somebody watches.
    watched: int = WATCHED
    rate: float = 500.0
    pause_s: tuple[float, float] = (1.0, 4.0)
    cards: tuple[Card, ...] = DECK
    steps: tuple[Step, ...] = field(default=())

    @property
    def drivers(self) -> int:
        """How many send."""
        return round(self.rate / DRIVER_RATE)

    def plan(self) -> list[Step]:
        """The given steps, or those of the seed."""
        if self.steps:
            return list(self.steps)
        return make_plan(
            self.seed, self.seconds, self.shards, pause_s=self.pause_s, cards=self.cards
        )


async def run_round(stack: Stack, folder: Path, options: Options) -> Round:
    """A whole round on a stack that runs; leaves it running."""
    journal = Journal(folder / "journal.txt")
    began_s = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began_s:7.1f} s  {line}", flush=True)

    more = {"drivers": options.drivers, "watched": options.watched}
    load = Load(stack.port, journal, seed=options.seed, rate=options.rate, **more)
    servers = RedisServers(stack, options.shards)
    watchers, readiness = Watchers(stack.port, options.watched), Readiness(stack.fanout_port)
    memories = Memories(stack, options.shards, servers.roles)
    actions = Actions(stack, servers, say)
    sending, watching, poisoning = asyncio.Event(), asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(load.run(sending))
        group.create_task(watchers.run(watching))
        looking = [group.create_task(_sample(memories)), group.create_task(readiness.run())]
        poisoner = group.create_task(_poison(stack, journal, options, poisoning))
        await _carry_out(options.plan(), actions)
        await pace(began_s + options.seconds - time.monotonic())
        await actions.end()
        poisoning.set()
        await poisoner
        say("no more faults")
        await until(lambda: _whole(stack), timeout_s=QUIET_TIMEOUT_S, what="a whole stack")
        await servers.await_whole()
        still_deaf = await _still_deaf(watchers)
        watching.set()
        watched_s = time.monotonic() - began_s
        sending.set()
        await loading
        quiet_began_s = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await until(lambda: _quiet(stack, options.shards), timeout_s=QUIET_TIMEOUT_S)
        quiet_s = time.monotonic() - quiet_began_s
        for task in looking:
            task.cancel()
    journal.close()
    memories.sample()
    verdict = judge(read_journal(journal.path), await gather_evidence(stack, options.shards))
    for index in still_deaf:
        verdict.violate("live did not come back", f"order chaos-{index}")
    waited = Waited(
        load.late,
        [(servers.watched(index), seen.gaps) for index, seen in enumerate(watchers.seen)],
        actions.windows,
        memories.by_role,
        [_refusal(servers, options.shards, *refused) for refused in load.refused],
        readiness.unready,
    )
    judge_service(waited, verdict)
    _judge_clients(load, watchers, verdict)
    undisturbed_s = unexplained_s(0, watched_s, carrying(actions.windows, servers.watched(0)))
    return Round(
        options.seed, load, watchers.seen, actions.done, memories, verdict, waited, quiet_s,
        undisturbed_s,
    )  # fmt: skip


def _refusal(
    servers: RedisServers, shards: int, took_s: float, at_s: float, drivers: frozenset[str]
) -> Refusal:
    return Refusal(at_s, took_s, servers.slots_of({shard_of(name, shards) for name in drivers}))


def _judge_clients(load: Load, watchers: Watchers, verdict: Verdict) -> None:
    """What those who sent and watched have seen."""
    for example in load.misjudged:
        verdict.violate("misjudged", example)
    for seen in watchers.seen:
        if seen.backwards:
            verdict.violate("frames went back in time", seen)
    for status in load.statuses.keys() - {202, 422, 503}:
        verdict.violate("odd answer", f"{load.statuses[status]} times {status}")


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
    nodes = new_nodes(stack.redis_url, reply_timeout_s=1.0, name="poison")
    await nodes.start()
    try:
        while not stopping.is_set():
            number += 1
            stream = shard_keys(STREAM_NAME, rng.randrange(options.shards), options.shards).stream
            journal.poison(number, there=False)
            with contextlib.suppress(Overloaded, hiredis.ReplyError):
                if await _is_kept(nodes, stream, poison(number, rng)):
                    journal.poison(number, there=True)
            await pace(1 / (options.rate * POISON_SHARE))
    finally:
        await nodes.close()


async def _is_kept(nodes: Nodes, stream: str, payload: bytes) -> bool:
    """Add an entry; whether nothing that may happen to a server takes it away."""
    added = ("XADD", stream, "*", ENTRY_FIELD, payload)
    if not nodes.is_cluster:
        return bool(await nodes.key_wire(stream).send(*added))
    copies = ("WAIT", 1, COPY_TIMEOUT_MS)
    return int((await nodes.key_wire(stream).pipeline([added, copies]))[-1]) >= 1


async def _sample(memories: Memories) -> None:
    while True:
        memories.sample()
        await pace(SAMPLE_EVERY_S)


async def _whole(stack: Stack) -> bool:
    states = stack.states()
    return bool(states) and set(states.values()) <= {"running", "stopped"}


async def _still_deaf(watchers: Watchers) -> list[int]:
    """The orders whose watchers see nothing new though all is whole."""
    healed = [seen.frames for seen in watchers.seen]
    await pace(AFTERWARDS_S)
    with contextlib.suppress(TimeoutError):
        await until(lambda: _all_see(watchers, healed), timeout_s=LIVE_TIMEOUT_S)
    return [n for n, seen in enumerate(watchers.seen) if seen.frames == healed[n]]


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
