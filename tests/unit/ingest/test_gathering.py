"""What leaves in a turn, and who learns what of it: checked against all that was put in."""

from dataclasses import dataclass, field
from typing import Any

import hiredis
from hypothesis import given, settings
from hypothesis import strategies as st

from common.shards import Shards
from common.stream.backlog import ADDED
from common.stream.pack import BYTES_MAX, EVENTS_MAX, encode_pack, split_pack
from ingest.intake.writer.gathering import Gathering, Question

SHARDS = Shards("s", 3)
REFUSED = hiredis.ReplyError("OOM")


@dataclass
class Noted:
    """A waiter that notes what it is told."""

    events: list[bytes]
    positions: list[tuple[int, bytes]] = field(default_factory=list)
    refusals: int = 0
    replies: dict[int, object] = field(default_factory=dict)

    def taken(self, count: int, position: bytes) -> None:
        self.positions.append((count, position))

    def refused(self) -> None:
        self.refusals += 1

    def answered(self, place: int, reply: object) -> None:
        self.replies[place] = reply


# (shard, events, least bytes of each), in the order in which they come: few of any length, and
# about as many as a pack may have, short ones or too many bytes together.
SHARD = st.integers(0, 2)
FEW = st.tuples(
    SHARD, st.integers(1, 4), st.sampled_from([1, BYTES_MAX // 3, BYTES_MAX // 2, BYTES_MAX])
)
MANY = st.tuples(SHARD, st.integers(EVENTS_MAX - 2, EVENTS_MAX + 2), st.sampled_from([1, 600]))
ARRIVALS = st.lists(FEW | MANY, max_size=10)


def gathered(arrivals: Any) -> tuple[Gathering[Noted], list[tuple[int, Noted]]]:
    gathering: Gathering[Noted] = Gathering()
    waiters = []
    for number, (shard, count, length) in enumerate(arrivals):
        events = [b"%d.%d" % (number, n) + b"x" * length for n in range(count)]
        waiter = Noted(events)
        gathering.add(shard, events, sum(map(len, events)), waiter)
        waiters.append((shard, waiter))
    return gathering, waiters


def entries(turn: Any) -> list[tuple[int, bytes]]:
    """(shard, pack) of each entry; checks that each is counted directly behind."""
    commands = turn.commands(SHARDS)[: 2 * len(turn.packs)]
    found = []
    for pack, entry, count in zip(turn.packs, commands[::2], commands[1::2], strict=True):
        keys = SHARDS[pack.shard].keys
        assert entry[:4] == ("XADD", keys.stream, "*", "e")
        assert count == ("HINCRBY", keys.counts, ADDED, len(split_pack(entry[4])))
        found.append((pack.shard, entry[4]))
    return found


@settings(deadline=None)
@given(ARRIVALS)
def test_a_shards_events_leave_in_their_order_within_the_bounds(arrivals):
    gathering, waiters = gathered(arrivals)
    assert gathering.size == sum(len(e) for _, waiter in waiters for e in waiter.events)
    counts = [gathering.fixes(shard) for shard in range(3)]
    left = entries(gathering.leave())
    for shard in range(3):
        wanted = [e for s, waiter in waiters if s == shard for e in waiter.events]
        packs = [split_pack(pack) for s, pack in left if s == shard]
        assert [event for pack in packs for event in pack] == wanted
        assert counts[shard] == len(wanted)
        for pack in packs:
            assert len(pack) <= EVENTS_MAX
            assert len(pack) == 1 or len(encode_pack(pack)) <= BYTES_MAX
    assert not gathering
    assert gathering.size == 0
    assert gathering.leave().commands(SHARDS) == []


@settings(deadline=None)
@given(ARRIVALS, st.data())
def test_each_waiter_learns_where_its_events_are_or_that_they_are_not(arrivals, data):
    gathering, waiters = gathered(arrivals)
    turn = gathering.leave()
    packs = entries(turn)
    replies: list[object] = []
    for number in range(len(packs)):
        lost = data.draw(st.booleans())
        replies += [REFUSED, REFUSED] if lost else [b"7-%d" % number, 1]
    turn.settle(replies)
    placed = {}
    for number, (shard, pack) in enumerate(packs):
        events = split_pack(pack)
        for place, event in enumerate(events):
            name = b"%d-7-%d" % (shard, number)
            position = name if len(events) == 1 else b"%b-%d" % (name, place)
            placed[event] = (position, replies[2 * number] is not REFUSED)
    for _, waiter in waiters:
        accepted = [event for event in waiter.events if placed[event][1]]
        assert sum(count for count, _ in waiter.positions) == len(accepted)
        assert bool(waiter.refusals) == (len(accepted) < len(waiter.events))
        first = 0
        for count, position in waiter.positions:
            assert placed[accepted[first]][0] == position
            first += count


def test_a_pack_is_refused_as_a_whole():
    gathering, waiters = gathered([(0, 1, 3), (0, 5, 3), (1, 1, 3)])
    gathering.leave().settle([REFUSED, REFUSED, b"1-0", 1])
    assert [waiter.refusals for _, waiter in waiters] == [1, 1, 0]
    assert [waiter.positions for _, waiter in waiters] == [[], [], [(1, b"1-1-0")]]


def test_questions_leave_behind_the_packs_and_each_gets_its_reply():
    gathering, [(_, waiter)] = gathered([(0, 2, 3)])
    for place in range(2):
        gathering.ask(Question(waiter, place, 0, 3, ("EVALSHA", place)), 30)
    assert gathering.fixes(0) == 8
    turn = gathering.leave()
    assert [command[0] for command in turn.commands(SHARDS)] == [
        "XADD", "HINCRBY", "EVALSHA", "EVALSHA",
    ]  # fmt: skip
    turn.settle([b"1-0", 2, [3], REFUSED])
    assert waiter.replies == {0: [3], 1: REFUSED}
    assert waiter.positions == [(2, b"0-1-0-0")]
