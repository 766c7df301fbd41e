"""A world of hosts that share the shards, in which they come, die, freeze, fail and go."""

import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.sharing.facts import HostTerms, Sharing
from consumers.sharing.idle import PASS_FIRST_S, PASS_MAX_S, TAKE_S, IdleHosts
from consumers.sharing.plan import plan
from consumers.sharing.share import share
from tests.unit.hosts.test_share import NAMES, sharing

TTL, SILENT, FRESH = 7, 4, 3


@dataclass
class Worker:
    """Holds a shard, or waits for it. `confirmed`: when its lease was renewed last."""

    confirmed: int | None = None
    # When it has settled what is in hand; None: nobody asked it to stop.
    ends: int | None = None


@dataclass
class ModelHost:
    running: frozenset[int] = frozenset()
    workers: dict[int, Worker] = field(default_factory=dict)
    frozen: bool = False
    drained: bool = False
    # It lives, and no worker of it gets to its shard any more.
    sick: bool = False
    idle: IdleHosts = field(default_factory=IdleHosts)


class World:
    """Hosts, leases and time in beats. Looks happen one after the other, as in Redis."""

    def __init__(self, shards: int) -> None:
        self.shards = shards
        self.now = 0
        self.hosts: dict[str, ModelHost] = {}
        self.heard: dict[str, int] = {}
        # Shard -> host and worker, and until when.
        self.leases: dict[int, tuple[str, Worker, int]] = {}
        self.moves = 0

    def beat(self, order: list[str], settles: int) -> None:
        self.now += 1
        self.leases = {s: held for s, held in self.leases.items() if held[2] > self.now}
        for name in order:
            host = self.hosts.get(name)
            if host is not None and not host.frozen:
                self._work(name, host)
                self._look(name, host, settles)
        for shard in range(self.shards):
            writers = [
                name for name, host in self.hosts.items()
                if (w := host.workers.get(shard)) is not None and w.confirmed is not None
                and not host.frozen and self.now - w.confirmed <= FRESH
            ]  # fmt: skip
            assert len(writers) <= 1, f"shard {shard} has {writers}"

    def _work(self, name: str, host: ModelHost) -> None:
        for shard, worker in list(host.workers.items()):
            holder = self.leases.get(shard)
            if holder is None and worker.ends is None and not host.sick:
                self.moves += 1
                holder = self.leases[shard] = (name, worker, 0)
            mine = holder is not None and holder[1] is worker
            if mine:
                worker.confirmed = self.now
                self.leases[shard] = (name, worker, self.now + TTL)
            elif worker.confirmed is not None:
                # Fenced: it leaves, and another is started that waits.
                host.workers[shard] = Worker(ends=worker.ends)
            if worker.ends is not None and self.now >= worker.ends:
                del host.workers[shard]
                if mine:
                    del self.leases[shard]

    def _look(self, name: str, host: ModelHost, settles: int) -> None:
        self.heard[name] = self.now
        self.heard = {n: at for n, at in self.heard.items() if self.now - at < SILENT}
        known = {
            n: HostTerms(drained=n in self.hosts and self.hosts[n].drained) for n in self.heard
        }
        owners = {shard: held[0] for shard, held in self.leases.items()}
        facts = host.idle.judge(Sharing(known, owners, self.shards), self.now)
        planned = plan(facts)
        host.idle.note(facts, planned, self.now)
        host.running = share(facts, name, host.running, planned)
        for shard, worker in host.workers.items():
            if shard not in host.running and worker.ends is None:
                worker.ends = self.now + settles
        for shard in host.running - host.workers.keys():
            host.workers[shard] = Worker()

    def kill(self, name: str) -> None:
        self.hosts.pop(name, None)

    def leave(self, name: str) -> None:
        if self.hosts.pop(name, None) is not None:
            self.heard.pop(name, None)
            self.leases = {s: held for s, held in self.leases.items() if held[0] != name}

    @property
    def held(self) -> list[int]:
        living = [n for n, h in self.hosts.items() if not h.frozen and not h.drained]
        owners = Counter(held[0] for held in self.leases.values())
        return sorted(owners[name] for name in living)


EVENTS = st.tuples(
    st.sampled_from(["join", "kill", "leave", "freeze", "thaw", "drain", "undo", "none"]),
    st.sampled_from(NAMES),
    st.integers(0, 12),
)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 20), st.lists(EVENTS, max_size=14), st.permutations(NAMES), st.integers(0, 2)
)  # fmt: skip
def test_whatever_happens_there_is_never_a_second_writer_and_in_the_end_a_level(
    shards, events, order, settles
):
    world = World(shards)
    world.hosts["host-a"] = ModelHost()
    for what, name, beats in events:
        host = world.hosts.get(name)
        if what == "join" and host is None:
            world.hosts[name] = ModelHost()
        elif what == "kill":
            world.kill(name)
        elif what == "leave" and host is not None and not host.frozen:
            world.leave(name)
        elif what in {"freeze", "thaw"} and host is not None:
            host.frozen = what == "freeze"
        elif what in {"drain", "undo"} and host is not None:
            host.drained = what == "drain"
        for _ in range(beats):
            world.beat(order, settles)
    if not any(not h.frozen and not h.drained for h in world.hosts.values()):
        world.hosts["host-new"] = ModelHost()
        order = [*order, "host-new"]
    # Leases of the dead run out, then one shard after the other changes hands.
    for _ in range(TTL + SILENT + shards * (settles + 3) + 5):
        world.beat(order, settles)
    assert sum(world.held) == shards
    assert max(world.held) - min(world.held) <= 1
    before = world.moves
    for _ in range(20):
        world.beat(order, settles)
    assert world.moves == before


def test_what_a_host_does_not_take_goes_to_the_others_and_it_is_tried_again():
    """Its part had no writer for as long as it said that it lives: for ever, if it was forged."""
    world = World(12)
    for name in NAMES[:3]:
        world.hosts[name] = ModelHost(sick=name == "host-b")
    for _ in range(2 * int(TAKE_S) + 20):
        world.beat(NAMES, 1)
    assert world.held == [0, 6, 6]
    before = world.moves
    for _ in range(int(PASS_FIRST_S) // 2):
        world.beat(NAMES, 1)
    assert world.moves == before
    world.hosts["host-b"].sick = False
    for _ in range(2 * int(PASS_FIRST_S)):
        world.beat(NAMES, 1)
    assert world.held == [4, 4, 4]


def test_a_host_that_is_alone_is_not_passed_over_and_one_that_never_takes_is_tried_ever_less():
    idle, planned = IdleHosts(), {0: "a", 1: "b"}
    alone, both = sharing({}, 2, "a"), sharing({0: "a"}, 2, "a", "b")
    for now in (0.0, TAKE_S):
        idle.note(alone, {0: "a", 1: "a"}, now)
    assert idle.judge(alone, TAKE_S) == alone
    idle, now, passes = IdleHosts(), 0.0, []
    while len(passes) < 9:
        if idle.judge(both, now) == both and idle.note(both, planned, now) == ["b"]:
            passes.append(now)
        now += 1.0
    gaps = [after - before - TAKE_S for before, after in itertools.pairwise(passes)]
    assert gaps == [min(PASS_MAX_S, PASS_FIRST_S * 2**n) for n in range(8)]
    assert plan(idle.judge(both, passes[-1])) == {0: "a", 1: "a"}


@pytest.mark.parametrize("shards", [64, 256])
def test_many_shards_are_level_soon_after_a_host_has_come(shards):
    world = World(shards)
    world.hosts["host-a"] = ModelHost()
    for _ in range(5):
        world.beat(NAMES, 1)
    world.hosts["host-b"] = ModelHost()
    beats = 0
    while not world.held[0] >= shards // 2:
        world.beat(NAMES, 1)
        beats += 1
    # A beat takes a tenth of a second while shards change hands.
    assert beats < 60
