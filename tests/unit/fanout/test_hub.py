"""The hub's rules: who is shown what, in which order, and who is first and last."""

from collections.abc import Callable
from datetime import timedelta

import orjson
from hypothesis import given
from hypothesis import strategies as st

from common.event import EPOCH, Moment, effective_time
from common.frame import ended_frame, order_message
from common.keys import order_key
from fanout.orders.hub import Channel, Hub
from fanout.orders.newest import is_newer, moment_in
from fanout.sockets.protocol import text_frame
from tests.servers.fanout_server import T0, event


class Watcher:
    """Remembers what it was shown: numbers of events, minutes of arrivals, then 'end'."""

    def __init__(self) -> None:
        self.shown: list[object] = []

    def offer(self, frame: bytes) -> None:
        """An update."""
        body = orjson.loads(frame[4:] if frame[1] == 126 else frame[2:])
        self.shown.append(round((body["data"]["latitude"] - 10) * 1e5))

    def offer_beside(self, frame: bytes) -> None:
        """An arrival."""
        body = orjson.loads(frame[4:] if frame[1] == 126 else frame[2:])
        assert body["type"] == "arrival"
        self.shown.append(f"{body['data']['remaining_s'] / 60:g} min")

    def end(self, frame: bytes) -> None:
        """The end."""
        assert frame == text_frame(ended_frame("o1"))
        self.shown.append("end")

    def postpone(self) -> None:
        """Sent away."""
        self.shown.append("later")


def joined(channel: Channel, snapshot: bytes | None = None) -> Watcher:
    watcher = Watcher()
    channel.waiting.add(watcher)
    channel.refresh(snapshot, ended=False, oldest=EPOCH)
    return watcher


def test_first_and_last_watcher() -> None:
    routes: dict[bytes, Callable[[bytes], None]] = {}
    hub = Hub(routes)
    a, b = Watcher(), Watcher()
    channel = hub.join("o1", a, 0.0)
    assert hub.join("o1", b, 0.0) is channel
    assert list(routes) == [order_key("o1").encode()]
    assert not hub.leave(channel, a, 1.0)
    assert hub.leave(channel, b, 2.0)
    assert hub.idle_since(1.9) == []
    assert hub.idle_since(2.0) == [channel]
    # Somebody came back within the linger: it is not forgotten, now or later.
    idle = hub.idle_since(2.0)
    assert hub.join("o1", a, 0.0) is channel
    assert hub.forget(idle) == []
    assert hub.leave(channel, a, 3.0)
    assert hub.forget(hub.idle_since(3.0)) == [order_key("o1").encode()]
    assert (routes, hub.channels) == ({}, {})


def test_another_driver_s_events_are_forgotten_when_the_order_moves() -> None:
    """Who came after the move was shown the driver from before it."""
    channel = Channel("o1")
    early = joined(channel)
    channel.deliver(event(5, driver_id="a"))
    channel.deliver(order_message("o1", "a"))
    channel.deliver(order_message("o1", None))
    channel.deliver(b'{"type":"driver_set"')
    assert channel.last == event(5, driver_id="a")
    channel.deliver(order_message("o1", "b"))
    late = joined(channel)
    assert late.shown == []
    channel.deliver(event(4, driver_id="b"))
    assert (early.shown, late.shown) == ([5, 4], [4])


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


def test_bytes_that_are_no_event_are_not_shown() -> None:
    assert (moment_in(b""), moment_in(b'{"driver_id":"d1"}')) == (None, None)
    channel = Channel("o1")
    watcher = joined(channel)
    # Times without a zone cannot be compared.
    for message in (b"", event(1), b'{"driver_id":"d1"}', event(9).replace(b'Z"', b'"'), event(2)):
        channel.deliver(message)
    assert watcher.shown == [1, 2]


times = st.lists(st.integers(-3, 3), min_size=4, max_size=4)


@given(times)
def test_the_newer_event_is_the_one_of_the_later_effective_time(seconds: list[int]) -> None:
    a, b, c, d = (T0 + timedelta(seconds=number) for number in seconds)
    one, other = Moment(a, b), Moment(c, d)
    assert is_newer(one, other) == (effective_time(one) > effective_time(other))


def test_what_a_new_worker_publishes_again_is_not_shown_again() -> None:
    # Regression: a worker was killed while Redis was full, which had refused the positions and its
    # place in the stream, though not the messages. The next one began where the last write was, and
    # its first page ended before what customers had seen.
    channel = Channel("o1")
    watcher = joined(channel, event(1))
    for number in (64, 65, 64, 65, 66):
        channel.deliver(event(number))
    assert watcher.shown == [1, 64, 65, 66]


def test_older_from_another_driver_is_not_shown_after_newer() -> None:
    # Regression: one order carried by two drivers in two shards, whose workers publish it.
    channel = Channel("o1")
    watcher = joined(channel, event(1))
    steps = [(3, "a"), (2, "b"), (4, "b"), (3, "a"), (5, "b"), (6, "a"), (5, "b"), (7, "a")]
    for number, driver_id in steps:
        channel.deliver(event(number, driver_id=driver_id))
    assert watcher.shown == [1, 3, 4, 5, 6, 7]


def test_messages_behind_a_snapshot_are_not_shown_after_it() -> None:
    # Regression: two messages were on their way when a newer snapshot was read.
    channel = Channel("o1")
    watcher = joined(channel, event(1))
    joined(channel, event(4))
    for number in (2, 3, 4, 5, 6):
        channel.deliver(event(number))
    assert watcher.shown == [1, 4, 5, 6]


def test_a_server_that_had_not_all_that_was_shown_moves_nobody_back() -> None:
    # Regression: a replica took over without the last fix and the last snapshot; the worker that
    # began anew on it published the fix before, and customers saw their driver go back.
    channel = Channel("o1")
    watcher = joined(channel, event(1))
    channel.deliver(event(5))
    channel.refresh(event(3), ended=False, oldest=EPOCH)
    for number in (4, 3, 5, 6, 7):
        channel.deliver(event(number))
    assert watcher.shown == [1, 5, 6, 7]


def test_sessions_that_nothing_is_read_for_are_sent_away() -> None:
    hub = Hub({})
    early, late, other = Watcher(), Watcher(), Watcher()
    channel = hub.join("o1", early, 1.0)
    hub.join("o1", late, 2.0)
    assert hub.join("o2", other, 3.0).waiting == {other}
    hub.postpone_unread(0.9)
    assert early.shown == []
    hub.postpone_unread(2.5)
    assert (early.shown, late.shown, other.shown) == (["later"], ["later"], [])
    # Read in time, left, or forgotten: nobody is sent away.
    back = Watcher()
    hub.leave(channel, early, 4.0)
    hub.leave(channel, late, 4.0)
    hub.join("o1", back, 5.0)
    channel.refresh(event(1), ended=False, oldest=EPOCH)
    hub.postpone_unread(9.0)
    assert back.shown == [1]


def actors() -> st.SearchStrategy[tuple[str, str]]:
    acts = ["write", "arrive", "arrive", "repeat", "replace", "join", "read", "read", "lose"]
    return st.tuples(st.sampled_from(acts), st.sampled_from("ab"))


@given(st.lists(actors(), max_size=80))
def test_everybody_sees_rising_numbers_and_ends_on_the_newest(steps: list[tuple[str, str]]) -> None:
    """Two workers write the snapshot, then publish; messages are late, repeated, or lost.

    A worker that replaces another may publish again what that one has published.
    A snapshot is never older than what its worker has published, but the workers of two drivers
    know nothing of each other: the later writer wins, and both messages arrive.
    """
    channel, newest = Channel("o1"), 0
    snapshot: bytes | None = None
    on_the_way: dict[str, list[bytes]] = {"a": [], "b": []}
    published: dict[str, list[bytes]] = {"a": [], "b": []}
    shown_to = [Watcher()]
    channel.waiting.add(shown_to[0])
    for act, driver_id in steps:
        queue = on_the_way[driver_id]
        if act == "write":
            newest += 1
            snapshot = event(newest, driver_id=driver_id)
            queue.append(snapshot)
            published[driver_id].append(snapshot)
        elif act in {"arrive", "repeat"} and queue:
            channel.deliver(queue[0] if act == "repeat" else queue.pop(0))
        elif act == "replace":
            queue += published[driver_id][-3:]
        elif act == "join":
            shown_to.append(Watcher())
            channel.waiting.add(shown_to[-1])
        elif act == "read":
            channel.refresh(snapshot, ended=False, oldest=EPOCH)
        elif act == "lose":
            queue.clear()
    channel.refresh(snapshot, ended=False, oldest=EPOCH)
    for watcher in shown_to:
        assert watcher.shown == sorted(set(watcher.shown), key=int)  # type: ignore[arg-type]
        assert watcher.shown[-1:] == ([newest] if newest else [])
