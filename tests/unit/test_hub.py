"""The hub's rules: who is shown what, in which order, and who is first and last."""

from collections.abc import Callable
from datetime import timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from common.event import EPOCH
from common.frame import ended_frame
from common.keys import order_key
from fanout.orders.hub import Channel, Hub, newer
from fanout.sockets.protocol import text_frame
from tests.fanout_server import T0, event


class Watcher:
    """Remembers what it was shown: numbers of events, then 'end'."""

    def __init__(self) -> None:
        self.shown: list[object] = []

    def offer(self, frame: bytes) -> None:
        """An update."""
        body = orjson.loads(frame[4:] if frame[1] == 126 else frame[2:])
        self.shown.append(round((body["data"]["latitude"] - 10) * 1e5))

    def end(self, frame: bytes) -> None:
        """The end."""
        assert frame == text_frame(ended_frame("o1"))
        self.shown.append("end")


def joined(channel: Channel, snapshot: bytes | None = None) -> Watcher:
    watcher = Watcher()
    channel.waiting.add(watcher)
    channel.refresh(snapshot, ended=False, oldest=EPOCH)
    return watcher


def test_first_and_last_watcher() -> None:
    routes: dict[bytes, Callable[[bytes], None]] = {}
    hub = Hub(routes)
    a, b = Watcher(), Watcher()
    channel = hub.join("o1", a)
    assert hub.join("o1", b) is channel
    assert list(routes) == [order_key("o1").encode()]
    assert not hub.leave(channel, a, 1.0)
    assert hub.leave(channel, b, 2.0)
    assert hub.idle_since(1.9) == []
    assert hub.idle_since(2.0) == [channel]
    # Somebody came back within the linger: it is not forgotten, now or later.
    idle = hub.idle_since(2.0)
    assert hub.join("o1", a) is channel
    assert hub.forget(idle) == []
    assert hub.leave(channel, a, 3.0)
    assert hub.forget(hub.idle_since(3.0)) == [order_key("o1").encode()]
    assert (routes, hub.channels) == ({}, {})


def test_one_who_waits_is_shown_the_newer_of_snapshot_and_message() -> None:
    for snapshot, message in ((3, 2), (2, 3), (3, 3)):
        channel = Channel("o1")
        waiting = Watcher()
        channel.waiting.add(waiting)
        channel.deliver(event(message))
        assert waiting.shown == []
        channel.refresh(event(snapshot), ended=False, oldest=EPOCH)
        assert waiting.shown == [3]
    channel = Channel("o1")
    assert joined(channel).shown == []


def test_a_snapshot_newer_than_what_others_saw_is_shown_to_them_too() -> None:
    # Otherwise they would miss it: its message, still on the way, is then known already.
    channel = Channel("o1")
    early = joined(channel, event(1))
    late = joined(channel, event(2))
    channel.deliver(event(2))
    assert (early.shown, late.shown) == ([1, 2], [2])


def test_old_snapshot_and_repeated_message_change_nothing() -> None:
    channel = Channel("o1")
    watcher = joined(channel, event(5))
    channel.refresh(event(4), ended=False, oldest=EPOCH)
    channel.refresh(b"garbage", ended=False, oldest=EPOCH)
    channel.deliver(event(5))
    channel.deliver(b'{"type":"unknown"}')
    channel.refresh(None, ended=False, oldest=EPOCH)
    assert watcher.shown == [5]


def test_the_end_is_final() -> None:
    channel = Channel("o1")
    live = joined(channel, event(1))
    waiting = Watcher()
    channel.waiting.add(waiting)
    channel.deliver(ended_frame("o1"))
    channel.deliver(event(2))
    assert (live.shown, waiting.shown) == ([1, "end"], ["end"])
    assert joined(channel, event(3)).shown == ["end"]


def test_the_marker_wins_over_the_snapshot() -> None:
    channel = Channel("o1")
    watcher = Watcher()
    channel.waiting.add(watcher)
    channel.refresh(event(1), ended=True, oldest=EPOCH)
    assert watcher.shown == ["end"]


def test_an_old_position_is_shown_to_nobody_who_comes_now() -> None:
    # Regression: a queue of three days ago, delivered today, was the first thing a customer saw.
    old, now = T0 + timedelta(milliseconds=5), T0 + timedelta(milliseconds=6)
    channel = Channel("o1")
    first, second, third = Watcher(), Watcher(), Watcher()
    channel.waiting.add(first)
    channel.refresh(event(5), ended=False, oldest=now)
    assert first.shown == []
    # Live again: what comes now is shown, and stays the newest there is.
    channel.deliver(event(7))
    channel.waiting.add(second)
    channel.refresh(event(5), ended=False, oldest=old)
    assert (first.shown, second.shown) == ([7], [7])
    # The driver was silent for long, with a customer there who saw the last of it.
    channel.waiting.add(third)
    channel.refresh(event(7), ended=False, oldest=T0 + timedelta(milliseconds=8))
    assert (second.shown, third.shown) == ([7], [])
    channel.deliver(event(9))
    assert (second.shown, third.shown) == ([7, 9], [9])


def test_newer() -> None:
    assert newer(event(1), None)
    assert newer(event(2), event(1))
    assert not newer(event(1), event(1))
    assert not newer(event(1), event(2))
    assert not newer(b"", None)


@given(st.lists(st.sampled_from(["publish", "join", "gap", "lose", "again"]), max_size=60))
def test_everybody_sees_rising_numbers_and_ends_on_the_newest(steps: list[str]) -> None:
    """A worker writes the snapshot before it publishes; messages may be lost until a rebuild."""
    channel, newest, lost = Channel("o1"), 0, False
    watchers = [Watcher()]
    channel.waiting.add(watchers[0])
    for step in steps:
        if step == "publish":
            newest += 1
            if not lost:
                channel.deliver(event(newest))
        elif step == "again" and newest and not lost:
            channel.deliver(event(newest))
        elif step == "join":
            watchers.append(Watcher())
            channel.waiting.add(watchers[-1])
        elif step == "lose":
            lost = True
        elif step == "gap":
            lost = False
            channel.refresh(event(newest) if newest else None, ended=False, oldest=EPOCH)
    channel.refresh(event(newest) if newest else None, ended=False, oldest=EPOCH)
    for watcher in watchers:
        assert watcher.shown == sorted(set(watcher.shown), key=int)  # type: ignore[arg-type]
        assert watcher.shown[-1:] == ([newest] if newest else [])
