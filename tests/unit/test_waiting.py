"""The number that is said when Redis forgets a stream."""

from consumers.stream.entry import RawEntry
from consumers.stream.waiting import Waiting


def page(first: int, count: int) -> list[RawEntry]:
    return [RawEntry(b"%d-0" % number, b"") for number in range(first, first + count)]


def seen(unread: int, pending: int, *, delivered: int, at_s: float = 0.0) -> Waiting:
    waiting = Waiting()
    waiting.look(unread, pending, delivered=b"%d-0" % delivered, through=b"999-0", now_s=at_s)
    return waiting


def test_what_was_seen_waiting_and_is_not_in_memory_is_gone():
    waiting = Waiting()
    assert waiting.gone(held=0) == 0
    assert waiting.age_s(1.0) is None
    waiting = seen(7, 100, delivered=100, at_s=5.0)
    assert waiting.age_s(5.5) == 0.5
    assert waiting.through == b"999-0"
    assert waiting.gone(held=0) == 107
    # In memory: stored all the same.
    assert waiting.gone(held=60) == 47
    assert waiting.gone(held=1000) == 7


def test_what_the_worker_did_since_the_look_counts():
    waiting = seen(10, 0, delivered=100)
    waiting.delivered([])
    waiting.delivered(page(101, 4))
    assert waiting.gone(held=4) == 6
    waiting.settled(4)
    assert waiting.gone(held=0) == 6
    # More than was there at the look: what came later was seen by being delivered.
    waiting.delivered(page(105, 50))
    assert waiting.gone(held=0) == 50
    waiting.settled(50)
    assert waiting.gone(held=0) == 0
    waiting.settled(3)
    waiting.delivered(page(155, 1))
    assert waiting.gone(held=0) == 1


def test_what_was_on_its_way_at_the_look_is_not_counted_twice():
    """Redis had handed it out, and said so before the worker had it."""
    waiting = seen(0, 100, delivered=100)
    waiting.delivered(page(91, 9))
    assert waiting.gone(held=0) == 100
    waiting.delivered(page(99, 4))
    assert waiting.gone(held=0) == 102


def test_a_page_that_overtook_the_look_is_not_counted_twice():
    """The worker had it before it heard of a look that was taken earlier."""
    waiting = seen(0, 0, delivered=100)
    waiting.delivered(page(101, 21))
    waiting.delivered(page(122, 9))
    waiting.look(9, 21, delivered=b"121-0", through=b"130-0", now_s=1.0)
    assert waiting.gone(held=30) == 0
    assert waiting.gone(held=0) == 30
    # The next look knows of them.
    waiting.look(0, 30, delivered=b"130-0", through=b"130-0", now_s=2.0)
    assert waiting.gone(held=0) == 30


def test_after_a_loss_it_begins_anew():
    waiting = seen(3, 0, delivered=0)
    waiting.delivered(page(1, 2))
    waiting.forget()
    waiting.look(0, 0, delivered=b"0-0", through=b"0-0", now_s=1.0)
    assert waiting.gone(held=0) == 0
