"""What waits for a reader of events: all of it in order, up to a bound."""

from hypothesis import given
from hypothesis import strategies as st

from fanout.events.queue import WAITING_BYTES_MAX, EventQueue


@given(st.lists(st.sampled_from(["offer", "fill", "drain"])))
def test_everything_is_written_once_in_order(steps: list[str]) -> None:
    queue, written, number = EventQueue(), b"", 0
    for step in steps:
        if step == "offer":
            number += 1
            frame = b"%d " % number
            if queue.offer(frame):
                written += frame
        elif step == "fill":
            queue.fill()
        else:
            written += queue.drain() or b""
    written += queue.drain() or b""
    assert written == b"".join(b"%d " % n for n in range(1, number + 1))
    assert not queue.is_over


def test_past_the_bound_it_is_over_and_holds_nothing() -> None:
    queue = EventQueue()
    queue.fill()
    half = b"x" * (WAITING_BYTES_MAX // 2)
    over = []
    for frame in (half, half, b"x"):
        assert not queue.offer(frame)
        over.append(queue.is_over)
    assert over == [False, False, True]
    assert queue.drain() is None
