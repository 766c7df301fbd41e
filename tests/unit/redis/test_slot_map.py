"""What the nodes of a cluster say of it, and what of a pipeline goes elsewhere."""

import hiredis
from hypothesis import given
from hypothesis import strategies as st

from common.redis.cluster.slot_map import (
    Address,
    View,
    fewest_copies,
    newest_view,
    read_redirect,
    read_view,
    redirected,
)
from common.slots import SLOTS

ASKED = Address("10.0.0.1", 7000)
MOVED = hiredis.ReplyError("MOVED 3999 10.0.0.2:7001")
ASK = hiredis.ReplyError("ASK 3999 10.0.0.3:7002")


def info(state: str, epoch: int) -> bytes:
    return b"cluster_state:%b\r\ncluster_current_epoch:%d\r\n" % (state.encode(), epoch)


def test_a_view_names_primaries_by_slot() -> None:
    slots = [
        [8000, 16_383, [b"node-b", 7001, b"id"], [b"10.0.0.9", 7009, b"replica"]],
        # Of itself a node may not know how it is reached.
        [0, 7999, [b"", 7000, b"id", []]],
    ]
    view = read_view(info("ok", 7), slots, ASKED)
    assert view.ok
    assert view.epoch == 7
    assert view.primaries == (Address("10.0.0.1", 7000), Address("node-b", 7001))
    owners = view.owners()
    assert (owners[0], owners[7999], owners[8000]) == (*(ASKED,) * 2, Address("node-b", 7001))
    assert len(owners) == SLOTS


def test_slots_of_nobody_and_nodes_without_a_name_have_no_owner() -> None:
    slots = [[0, 9, [None, 7000, b"id"]], [10, 19, [b"?", 7001, b"id"]]]
    owners = read_view(info("fail", 1), slots, ASKED).owners()
    assert owners[9] == ASKED
    assert owners[10] is None
    assert owners[20] is None


def test_the_view_with_the_highest_epoch_is_believed() -> None:
    """A primary that is cut off goes on saying that it is one."""
    ranges = ((0, 1, ASKED),)
    old, new = View(True, 3, ranges), View(True, 4, ranges)
    assert newest_view([old, new, View(False, 9, ranges)]) is new
    assert newest_view([View(True, 5, ())]) is None
    assert newest_view([]) is None


def test_replies_that_lead_elsewhere() -> None:
    moved, ask = read_redirect(MOVED, ASKED), read_redirect(ASK, ASKED)
    assert moved is not None
    assert ask is not None
    assert moved == (3999, Address("10.0.0.2", 7001), False)
    assert ask == (3999, Address("10.0.0.3", 7002), True)
    # An empty host is the one that was asked.
    near = read_redirect(hiredis.ReplyError("MOVED 1 :7003"), ASKED)
    assert near is not None
    assert near.address == Address("10.0.0.1", 7003)
    far = read_redirect(hiredis.ReplyError("MOVED 1 ::1:7003"), ASKED)
    assert far is not None
    assert far.address == Address("::1", 7003)
    for other in (
        b"MOVED 1 a:2",
        1,
        None,
        hiredis.ReplyError("MOVED x"),
        hiredis.ReplyError("OOM"),
    ):
        assert read_redirect(other, ASKED) is None


def test_a_transaction_goes_as_a_whole() -> None:
    commands = [("GET", "a"), ("MULTI",), ("SET", "b", 1), ("SET", "b", 2), ("EXEC",), ("GET", "c")]
    aborted = hiredis.ReplyError("EXECABORT Transaction discarded")
    replies = [b"1", b"OK", MOVED, MOVED, aborted, ASK]
    found = redirected(commands, replies, ASKED)
    assert [(each.first, each.last, each.redirect.asking) for each in found] == [
        (1, 4, False),
        (5, 5, True),
    ]


@given(st.lists(st.sampled_from([b"OK", 1, MOVED, ASK])))
def test_what_was_done_is_not_done_again(replies: list[object]) -> None:
    found = redirected([("GET", "k")] * len(replies), replies, ASKED)
    assert [each.first for each in found] == [
        n for n, reply in enumerate(replies) if reply in (MOVED, ASK)
    ]


def test_what_was_written_elsewhere_is_on_a_replica_only_if_it_is_so_there() -> None:
    commands = [("XADD", "a"), ("XADD", "b"), ("WAIT", 1, 500)]
    some = redirected(commands, [b"1-1", MOVED, 1], ASKED)
    assert fewest_copies(commands, some, [1, 0]) == 0
    assert fewest_copies(commands, some, [0, 1]) == 0
    assert fewest_copies(commands, some, [1, 2]) == 1
    every = redirected(commands, [MOVED, MOVED, hiredis.ReplyError("no WAIT")], ASKED)
    # Nothing was written where it was asked first.
    assert fewest_copies(commands, every, [hiredis.ReplyError("no WAIT"), 1]) == 1
    assert fewest_copies(commands, every, [1, hiredis.ReplyError("no WAIT")]) == 0
