"""How hosts share the shards: the plan, and a world in which hosts come, die, freeze and go."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.sharing.share import HostTerms, Sharing, is_settled, plan, share

ALL = HostTerms()
NAMES = [f"host-{letter}" for letter in "abcdef"]


def sharing(owners: dict[int, str], shards: int, *hosts: str, **terms: HostTerms) -> Sharing:
    return Sharing(dict.fromkeys(hosts, ALL) | terms, owners, shards)


def counts(planned: dict[int, str], hosts: list[str]) -> list[int]:
    held = Counter(planned.values())
    return sorted(held[host] for host in hosts)


@st.composite
def moments(draw):
    """Some hosts, and shards that each of them, a host that is gone, or nobody holds."""
    shards = draw(st.integers(1, 24))
    hosts = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    owner = st.sampled_from([*hosts, "gone", None])
    owners = {s: o for s in range(shards) if (o := draw(owner)) is not None}
    return sharing(owners, shards, *hosts)


@given(moments())
def test_a_plan_is_level_and_moves_no_more_than_that_takes(facts):
    planned = plan(facts)
    hosts = list(facts.hosts)
    assert planned.keys() == {s for s in range(facts.shards) if facts.owners.get(s) != "gone"}
    level = counts(planned, hosts)
    assert max(level) - min(level) <= 1
    moved = sum(s in facts.owners and facts.owners[s] != host for s, host in planned.items())
    held = counts(facts.owners, hosts)
    assert moved == sum(max(0, had - gets) for had, gets in zip(held, level, strict=True))


@given(moments())
def test_nobody_takes_what_another_holds(facts):
    for me in facts.hosts:
        run = share(facts, me, ())
        assert all(facts.owners.get(shard, me) == me for shard in run)


@given(moments())
def test_what_is_free_is_taken_by_exactly_one(facts):
    runs = [share(facts, me, ()) for me in facts.hosts]
    for shard in set(range(facts.shards)) - facts.owners.keys():
        assert sum(shard in run for run in runs) == 1


def test_a_host_that_comes_gets_its_part_some_at_a_time():
    facts = sharing(dict.fromkeys(range(16), "a"), 16, "a", "b")
    run = share(facts, "a", range(16))
    assert len(run) == 14
    # Until the other has one of them, no other is given.
    assert share(facts, "a", run) == run
    first, second = sorted(set(range(16)) - run)
    facts.owners.pop(first)
    assert share(facts, "a", run) == run
    assert share(facts, "b", ()) == {first}
    facts.owners[first] = "b"
    assert len(share(facts, "a", run)) == 13
    assert second not in share(facts, "a", run)


def test_a_host_that_hands_over_keeps_what_nobody_else_may_run():
    drained = HostTerms(drained=True)
    facts = sharing({0: "a", 1: "a"}, 2, a=drained, b=HostTerms(only=frozenset({1})))
    assert plan(facts) == {0: "a", 1: "b"}
    assert plan(sharing({0: "a"}, 2, a=drained)) == {0: "a", 1: "a"}


def test_only_is_a_filter_also_where_the_way_to_a_level_leads_by_a_third():
    # c may run 0 alone, which b holds: b passes it on and gets 3 of a.
    few = HostTerms(only=frozenset({0}))
    facts = sharing({0: "b", 1: "b", 2: "a", 3: "a", 4: "a"}, 5, "a", "b", c=few)
    planned = plan(facts)
    assert planned[0] == "c"
    assert counts(planned, ["a", "b", "c"]) == [1, 2, 2]


def test_parts_that_are_fixed_by_hand_stay_as_they_are():
    first, second = HostTerms(only=frozenset({0, 1, 2})), HostTerms(only=frozenset({3}))
    facts = sharing({}, 4, a=first, b=second)
    assert share(facts, "a", ()) == {0, 1, 2}
    assert share(facts, "b", ()) == {3}
    assert share(sharing({}, 4, b=second), "b", ()) == {3}


def test_a_lease_that_no_host_has_is_waited_for():
    facts = sharing({0: "-"}, 2, "a")
    assert share(facts, "a", ()) == {1}
    assert not is_settled(facts)


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
            if holder is None and worker.ends is None:
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
        host.running = share(Sharing(known, owners, self.shards), name, host.running)
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


def test_a_filter_means_the_numbers_of_both_layouts():
    """What broke: while the number of shards changed, nobody was let run the old ones."""
    first, second = HostTerms(only=frozenset({0, 1})), HostTerms(only=frozenset({2, 3}))
    # Four come, which stand first, and three are left.
    numbers = (0, 1, 2, 3, 0, 1, 2)
    facts = Sharing({"a": first, "b": second}, {}, len(numbers), numbers)
    assert plan(facts) == {0: "a", 1: "a", 2: "b", 3: "b", 4: "a", 5: "a", 6: "b"}
