"""How hosts share the shards: the plan, and what each of them runs by it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from consumers.sharing.facts import HostTerms, Sharing
from consumers.sharing.plan import plan
from consumers.sharing.share import is_settled, share

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


def test_a_filter_means_the_numbers_of_both_layouts():
    """What broke: while the number of shards changed, nobody was let run the old ones."""
    # Four come, which stand first, and three are left.
    places = {0: [0, 4], 1: [1, 5], 2: [2, 6], 3: [3]}
    first = HostTerms(only=frozenset({0, 1})).placed(places)
    second = HostTerms(only=frozenset({2, 3, 99})).placed(places)
    facts = Sharing({"a": first, "b": second}, {}, 7)
    assert plan(facts) == {0: "a", 1: "a", 2: "b", 3: "b", 4: "a", 5: "a", 6: "b"}
    assert HostTerms(drained=True).placed(places) == HostTerms(drained=True)
