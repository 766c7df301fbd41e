"""Newest wins, and what a batch writes on the map."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from common.event import LocationEvent, LocationUpdate, decode_event, effective_time, encode_event
from common.keys import shard_keys
from consumers.live.moves import (
    driver_moves,
    fleet_message,
    is_same_driver,
    order_moves,
    state_commands,
)
from consumers.live.newest import Newest
from consumers.stream.entry import PlacedEvent

T0 = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = shard_keys("driver-locations", 3, 4)


def make(second, *, driver="d1", order=None, latitude=1.0, received=None):
    recorded_at = T0 + timedelta(seconds=second)
    received_at = recorded_at if received is None else T0 + timedelta(seconds=received)
    update = LocationUpdate(latitude=latitude, longitude=2.0, order_id=order)
    payload = encode_event(driver, update, recorded_at, received_at)
    return PlacedEvent(b"%d-0" % max(second, 0), 0, decode_event(payload), payload)


@given(st.permutations(list(range(8))), st.integers(1, 7))
def test_whatever_the_order_the_marker_never_goes_back(seconds, cut):
    newest = Newest(100)
    entries = [make(s) for s in seconds]
    shown = []
    for batch in (entries[:cut], entries[cut:]):
        shown += [e.event.recorded_at for e in driver_moves(batch, newest, T0).values()]
    assert shown == sorted(set(shown))
    assert shown[-1] == T0 + timedelta(seconds=7)


def test_redelivery_decides_the_same_way_again():
    newest = Newest(100)
    batch = [make(1), make(2)]
    assert driver_moves(batch, newest, T0)
    assert driver_moves(batch, newest, T0) == {}


def test_a_fix_from_the_future_does_not_freeze_the_marker():
    newest = Newest(100)
    driver_moves([make(3600, received=10)], newest, T0)
    assert driver_moves([make(11)], newest, T0)


def test_old_is_not_live_however_late_it_came():
    newest = Newest(100)
    queue = [make(second, received=100_000) for second in range(3)]
    assert driver_moves(queue, newest, T0 + timedelta(seconds=99_700)) == {}
    # A fix in time moves it, and what is older than that does not.
    assert driver_moves([make(99_800)], newest, T0 + timedelta(seconds=99_700))


def test_the_time_that_counts_is_that_of_the_position():
    late = make(10, received=500)
    ahead = make(900, received=20)
    (*_, seen) = state_commands({"late": late, "ahead": ahead}, KEYS)
    first_ms = int(T0.timestamp() * 1000)
    assert seen[2:] == (first_ms + 10_000, "late", first_ms + 20_000, "ahead")


def test_events_of_one_driver_are_told_by_their_bytes():
    a, again, b = make(1, driver="a"), make(2, driver="a"), make(1, driver="aa")
    assert is_same_driver(a.payload, again.payload)
    assert not is_same_driver(a.payload, b.payload)
    assert not is_same_driver(b.payload, a.payload)
    assert not is_same_driver(a.payload, b"{}")


def test_an_order_keeps_its_own_newest():
    newest = Newest(100)
    moves = order_moves([make(1, order="a"), make(2, order="b"), make(3)], newest)
    assert {order: e.event.recorded_at.second for order, e in moves.items()} == {"a": 1, "b": 2}
    assert order_moves([make(5, order="a")], newest, {"a"}) == {}


def test_commands_of_a_move():
    entry = make(1, order="o1")
    moves = {"d1": entry}
    assert state_commands(moves, KEYS) == [
        ("GEOADD", KEYS.geo, 2.0, 1.0, "d1"),
        ("HSET", KEYS.live, "d1", entry.payload),
        ("ZADD", KEYS.seen, int((T0.timestamp() + 1) * 1000), "d1"),
    ]
    assert fleet_message(moves) == b"[" + entry.payload + b"]"
    assert state_commands({}, KEYS) == []


def test_a_position_the_geo_index_cannot_hold_leaves_it():
    commands = state_commands({"d1": make(1, latitude=89.0)}, KEYS)
    assert [c[:3] for c in commands][:2] == [("ZREM", KEYS.geo, "d1"), ("HSET", KEYS.live, "d1")]


def test_names_are_bounded_and_looked_up_once():
    newest = Newest(10)
    for number in range(25):
        newest.advance(f"d{number}", effective_time(make(number).event))
        newest.trim()
    assert len(newest) <= 10
    assert newest.unknown(["d24", "d0", "d0", "new"]) == ["d0", "new"]
    newest.learn("d0", None)
    assert newest.unknown(["d0"]) == []


def test_what_is_known_is_not_unlearned_by_a_late_answer():
    newest = Newest(10)
    newest.advance("d", effective_time(make(5).event))
    newest.learn("d", None)
    assert not newest.advance("d", effective_time(make(4).event))


def test_events_hold_no_reference_cycles():
    # Millions of them are made; the collector must not have to look at each.
    assert LocationEvent.__struct_config__.gc is False
