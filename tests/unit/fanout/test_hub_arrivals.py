"""The hub's rules about arrivals: after a position, of its driver, the newest, each once."""

from datetime import datetime, timedelta

from common.arrivals.arrival import Rest, arrival_of, encode_arrival
from common.event import EPOCH
from common.frame import ended_frame, order_message
from fanout.orders.hub import Channel
from tests.servers.fanout_server import T0, event
from tests.unit.fanout.test_hub import Watcher, joined


def arriving(minutes: float, driver_id: str = "d1", at: datetime = T0) -> bytes:
    """An arrival, computed `at`."""
    rest = Rest(minutes * 60, minutes * 50, minutes * 80, 1000.0, "history")
    return encode_arrival(arrival_of("o1", driver_id, rest, at, at))


def test_an_arrival_comes_after_the_first_position() -> None:
    channel = Channel("o1")
    watcher = joined(channel)
    channel.deliver(arriving(9))
    channel.deliver(arriving(8))
    assert watcher.shown == []
    channel.deliver(event(1))
    assert watcher.shown == [1, "8 min"]
    channel.deliver(event(2))
    channel.deliver(arriving(7))
    # A redelivery is not shown again.
    channel.deliver(arriving(7))
    assert watcher.shown == [1, "8 min", 2, "7 min"]
    assert joined(channel).shown == [2, "7 min"]


def test_who_comes_later_is_shown_the_newest_arrival() -> None:
    soon, later = T0 + timedelta(seconds=9), T0 + timedelta(seconds=5)
    channel = Channel("o1")
    first = joined(channel, event(1))
    channel.deliver(arriving(9))
    second = Watcher()
    channel.waiting.add(second)
    channel.refresh(event(1), arriving(7, at=soon), ended=False, oldest=EPOCH)
    # Also to who missed it while the connection was lost; each once.
    assert (first.shown, second.shown) == ([1, "9 min", "7 min"], [1, "7 min"])
    channel.refresh(event(1), arriving(8, at=later), ended=False, oldest=EPOCH)
    assert (first.shown, second.shown) == ([1, "9 min", "7 min"], [1, "7 min"])
    assert joined(channel, event(2)).shown == [2, "7 min"]
    # Nobody is told what was expected long ago, nor what somebody made by hand.
    third = Watcher()
    channel.waiting.add(third)
    channel.refresh(
        event(3), b'{"type":"arrival","data":1}', ended=False, oldest=soon + timedelta(seconds=1)
    )
    assert third.shown == []


def test_an_arrival_of_another_driver_is_not_shown() -> None:
    channel = Channel("o1")
    watcher = joined(channel, event(1))
    channel.deliver(arriving(9, "d2"))
    channel.deliver(order_message("o1", "d2"))
    channel.deliver(arriving(8, "d1"))
    channel.deliver(event(2, driver_id="d2"))
    channel.deliver(arriving(7, "d2"))
    channel.deliver(ended_frame("o1"))
    channel.deliver(arriving(6, "d2"))
    assert watcher.shown == [1, 2, "7 min", "end"]
