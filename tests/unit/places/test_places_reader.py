"""What was trimmed before it was read is counted, each entry once: against a model of a stream."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.places.reader import ReadTo, checked
from consumers.stream.groups import START

STEPS = st.lists(
    st.tuples(st.sampled_from(["add", "trim", "read", "check"]), st.integers(1, 6)), max_size=60
)


def facts(ids: list[int], added: int) -> dict[bytes, object]:
    """What XINFO STREAM says of a stream that holds these ids, of so many."""
    return {
        b"last-generated-id": b"%d-0" % added,
        b"length": len(ids),
        b"entries-added": added,
        b"recorded-first-entry-id": b"%d-0" % ids[0] if ids else START,
    }


@given(STEPS, st.integers(0, 4))
def test_entries_are_read_or_missed(steps, gone_before):
    """`gone_before`: entries of the stream that were trimmed before anybody began to read."""
    added, ids = gone_before, []
    place, _ = checked(ReadTo(), facts(ids, added))
    found = missed = 0
    # At last what was read is trimmed: then what was missed before it is seen, too.
    for what, count in [*steps, ("tidy", 0), ("check", 1)]:
        after = int(place.entry_id.partition(b"-")[0])
        unread = [n for n in ids if n > after]
        if what == "add":
            ids += range(added + 1, added + count + 1)
            added += count
        elif what == "trim":
            missed += len([n for n in ids[:count] if n > after])
            ids = ids[count:]
        elif what == "tidy":
            ids = unread
        elif what == "read" and unread:
            some = unread[:count]
            place = ReadTo(b"%d-0" % some[-1], place.entries + len(some))
        elif what == "check":
            if place.entry_id == START:
                # Nothing was read yet: what is gone by now was nobody's.
                missed = 0
            place, more = checked(place, facts(ids, added))
            found += more
    assert found == missed


def test_each_missed_entry_is_counted_once():
    place = ReadTo(b"3-0", 3)
    everything = facts([2, 3, 4, 5, 6, 7], 7)
    assert checked(place, everything) == (place, 0)
    place, missed = checked(place, facts([6, 7], 7))
    assert (place, missed) == (ReadTo(b"3-0", 5), 2)
    assert checked(place, facts([6, 7], 7)) == (place, 0)
    place, missed = checked(place, facts([], 9))
    assert (place.entries, missed) == (9, 4)


def test_another_life_of_the_stream_is_begun_at_its_beginning():
    assert checked(ReadTo(b"9-0", 9), facts([1, 2], 2)) == (ReadTo(START, 0), 0)
    # Its ids may be larger: it was emptied, and the clock went on.
    place, missed = checked(ReadTo(b"3-0", 300), facts([7, 8], 8))
    assert (place, missed) == (ReadTo(b"3-0", 6), 0)


def test_an_old_redis_does_not_count():
    known = {name: value for name, value in facts([9], 9).items() if name != b"entries-added"}
    assert checked(ReadTo(b"3-0", 3), known) == (ReadTo(b"3-0", 3), 0)
