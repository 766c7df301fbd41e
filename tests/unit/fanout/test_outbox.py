"""The outbox: everything while there is room, the newest while there is none."""

from hypothesis import given
from hypothesis import strategies as st

from fanout.sockets.outbox import Outbox


def test_newest_only_while_full() -> None:
    outbox = Outbox()
    assert outbox.offer(b"1")
    outbox.fill()
    assert not outbox.offer(b"2")
    assert not outbox.offer(b"3")
    assert outbox.conflated == 1
    assert outbox.drain() == b"3"
    assert outbox.offer(b"4")
    outbox.fill()
    assert outbox.drain() is None


def test_what_goes_beside_takes_no_place() -> None:
    outbox = Outbox()
    assert outbox.offer_beside(b"a")
    outbox.fill()
    for frame in (b"a", b"b"):
        assert not outbox.offer_beside(frame)
    assert not outbox.offer(b"1")
    assert not outbox.offer(b"2")
    assert outbox.drain() == b"2b"
    assert outbox.conflated == 2
    outbox.fill()
    outbox.offer_beside(b"c")
    assert outbox.drain() == b"c"
    assert outbox.drain() is None


@given(st.lists(st.sampled_from(["offer", "fill", "drain"])))
def test_what_is_written_rises_and_the_last_is_never_lost(steps: list[str]) -> None:
    outbox, written, number = Outbox(), [], 0
    for step in steps:
        if step == "offer":
            number += 1
            frame = str(number).encode()
            if outbox.offer(frame):
                written.append(number)
        elif step == "fill":
            outbox.fill()
        elif (held := outbox.drain()) is not None:
            written.append(int(held))
    if (held := outbox.drain()) is not None:
        written.append(int(held))
    assert written == sorted(set(written))
    assert written[-1:] == ([number] if number else [])
    assert len(written) + outbox.conflated == number
