"""Which fixes count, and who is online: against the rule written out."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from common.event import LocationEvent
from consumers.places.rules.presence import ARRIVAL_MAX, Presence
from tests.roles.places import START

TTL = timedelta(seconds=60)


def fix(driver: str, recorded_s: float, received_s: float) -> LocationEvent:
    return LocationEvent(
        driver_id=driver,
        latitude=1.0,
        longitude=2.0,
        recorded_at=START + timedelta(seconds=recorded_s),
        received_at=START + timedelta(seconds=received_s),
    )


def told(said) -> list[tuple[str, str, float]]:
    """Type, driver and when the fix was recorded."""
    return [(e.type, e.driver_id, (e.recorded_at - START).total_seconds()) for e in said]


def test_online_at_the_first_fix_offline_in_silence():
    presence = Presence(TTL)
    assert told(presence.arrive(fix("d", 0, 0), START)) == [("driver.online", "d", 0)]
    assert presence.arrive(fix("d", 5, 5), START) == ()
    end = START + timedelta(seconds=5) + TTL + ARRIVAL_MAX
    assert presence.leave(end, START) == []
    left = presence.leave(end + timedelta(microseconds=1), START)
    assert told(left) == [("driver.offline", "d", 5)]
    assert left[0].data == {"last_seen_at": START + timedelta(seconds=5)}
    assert presence.changed == {"d": None}
    assert presence.leave(end + TTL, START) == []
    assert told(presence.arrive(fix("d", 100, 100), START)) == [("driver.online", "d", 100)]


def test_silence_between_two_fixes_is_told_when_nobody_looked_at_the_clock():
    """After an outage many fixes are worked off at once."""
    presence = Presence(TTL)
    presence.arrive(fix("d", 0, 0), START)
    assert told(presence.arrive(fix("d", 61, 61), START)) == [
        ("driver.offline", "d", 0),
        ("driver.online", "d", 61),
    ]


def test_what_comes_late_again_or_too_old_does_not_count():
    presence = Presence(TTL)
    assert presence.arrive(fix("old", 0, 61), START) is None
    presence.arrive(fix("d", 10, 10), START)
    for late in (fix("d", 10, 10), fix("d", 9, 12), fix("d", 10, 11)):
        assert presence.arrive(late, START) is None
    # Dated in the future: as of its arrival, so the next one counts.
    assert presence.arrive(fix("d", 500, 11), START) == ()
    assert presence.arrive(fix("d", 12, 12), START) == ()


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(0, 400), st.integers(-200, 100)), max_size=40
    ),
    st.sets(st.integers(0, 600), max_size=5),
)
def test_looking_at_the_clock_changes_what_is_told_only_in_time(fixes, looks):
    """Fixes come in the order of their arrival; whoever looks at the clock, the same is told."""
    arrivals = sorted(fixes, key=lambda f: f[1])
    often, never = Presence(TTL), Presence(TTL)
    seen, plain = [], []
    for driver, received_s, since_s in arrivals:
        for look_s in sorted(looks):
            if look_s <= received_s:
                seen += told(often.leave(START + timedelta(seconds=look_s), START))
        one = fix(driver, received_s + since_s, received_s)
        for presence, found in ((often, seen), (never, plain)):
            said = presence.arrive(one, START)
            found.extend([] if said is None else told(said))
    last = START + timedelta(days=1)
    seen += told(often.leave(last, START))
    plain += told(never.leave(last, START))
    for driver in "ab":
        assert [e for e in seen if e[1] == driver] == [e for e in plain if e[1] == driver]
    assert often.newest == never.newest == {}
