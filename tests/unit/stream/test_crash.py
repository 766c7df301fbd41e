"""Pages shrink around an entry that kills the worker, and only around that; then its pack does."""

from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.stream.entry import Entry
from consumers.stream.poison.crash import (
    ALONE_AFTER,
    NORMAL_TIMES,
    Pending,
    Suspicion,
    page_size,
    plan_page,
)
from consumers.stream.poison.trial import Trial, read_trial, trial_of

PAGE_MAX = 400
RETRIES = 3
# Deaths until a fix that kills is given up: until its entry stands alone, until the fix stands
# alone in packs of up to 256, and as often as it is tried then.
DEATHS_MAX = ALONE_AFTER + 3 + RETRIES + 1


def test_healthy_entries_come_in_full_pages():
    assert [page_size(n, PAGE_MAX) for n in range(NORMAL_TIMES + 1)] == [PAGE_MAX] * 3
    assert not plan_page([Pending(b"1-0", NORMAL_TIMES)], PAGE_MAX).on_trial


def test_pages_shrink_until_an_entry_stands_alone():
    sizes = [page_size(times, PAGE_MAX) for times in range(ALONE_AFTER + RETRIES + 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[ALONE_AFTER] == 1
    pending = [Pending(entry_id(n), ALONE_AFTER) for n in range(9)]
    assert plan_page(pending, PAGE_MAX) == ([entry_id(0)], True)
    assert plan_page(pending[1:], PAGE_MAX, entry_id(1)) == ([entry_id(1)], True)


def entry_id(number):
    return b"%d-0" % (number + 1)


SIZES = st.lists(st.integers(1, 40) | st.just(256), min_size=1, max_size=30)


def streams(draw_sizes=SIZES):
    """Packs of some sizes, and some fixes in them that kill: (entry, place)."""
    return draw_sizes.flatmap(
        lambda sizes: st.tuples(
            st.just([Entry(entry_id(n), b"\n" * (size - 1)) for n, size in enumerate(sizes)]),
            st.sets(
                st.integers(0, len(sizes) - 1).flatmap(
                    lambda n: st.tuples(st.just(n), st.integers(0, sizes[n] - 1))
                ),
                min_size=1,
                max_size=3,
            ),
        )
    )


def kills(killers, number, places):
    return any((number, place) in killers for place in places)


# A busy machine is no failure.
@settings(deadline=None)
@given(streams())
def test_the_history_finds_the_killers_and_blames_nobody_else(stream):
    """A model of the pending list: each start keeps what it begins, and dies of a fix."""
    entries, killers = stream
    number = {entry.id: n for n, entry in enumerate(entries)}
    times = {entry.id: 1 for entry in entries}
    given_up, deaths, record = [], 0, None
    while times:
        assert deaths <= DEATHS_MAX * len(killers)
        pending = [Pending(*item) for item in list(times.items())[:PAGE_MAX]]
        kept = read_trial(record)
        plan = plan_page(pending, PAGE_MAX, kept and kept.entry_id)
        if plan.on_trial:
            n = number[plan.ids[0]]
            trial, record, died = tried(killers, n, entries[n], record)
            if died:
                deaths += 1
                continue
            given_up += [(n, place) for place in trial.killers]
        elif any(kills(killers, number[x], range(entries[number[x]].fixes)) for x in plan.ids):
            deaths += 1
            times |= dict.fromkeys(plan.ids, pending[0].times + 1)
            continue
        for settled in plan.ids:
            del times[settled]
    assert sorted(given_up) == sorted(killers)


def tried(killers, number, entry, record):
    """One process' trial of an entry: the trial, its record, and whether the process died."""
    trial = trial_of(entry, read_trial(record), RETRIES)
    # What was survived holds no killer but those that are known, and is tried again.
    safe = set(range(trial.begin)) - set(trial.killers)
    assert not kills(killers, number, safe)
    while not trial.is_over(entry.fixes):
        record = trial._replace(begun=True).record
        if kills(killers, number, range(trial.begin, trial.end)):
            return trial, record, True
        trial = trial.survived(entry.fixes)
    return trial, record, False


# A busy machine is no failure.
@settings(deadline=None)
@given(streams())
def test_the_live_stage_finds_the_killers_and_passes_nobody_else_over(stream):
    """The same with a cursor and one count that it keeps in Redis."""
    entries, killers = stream
    cursor, begun, deaths, record = 0, 0, 0, None
    given_up = []
    while cursor < len(entries):
        # A start.
        assert deaths <= DEATHS_MAX * len(killers)
        suspicion = Suspicion(begun, PAGE_MAX)
        died = False
        while cursor < len(entries) and not died:
            size = suspicion.page_size
            page = range(cursor, min(len(entries), cursor + size))
            if suspicion.on_trial:
                trial, record, died = tried(killers, cursor, entries[cursor], record)
                if not died:
                    given_up += [(cursor, place) for place in trial.killers]
                    record = None
            else:
                if not suspicion.over and not suspicion.counted:
                    begun, suspicion.counted = begun + 1, True
                died = any(kills(killers, n, range(entries[n].fixes)) for n in page)
            if not died:
                cursor = page.stop
                if suspicion.passed(len(page), size):
                    begun = 0
            deaths += died
    assert sorted(given_up) == sorted(killers)


@given(st.lists(st.integers(1, PAGE_MAX), max_size=20))
def test_without_a_crash_the_first_page_ends_the_suspicion(pages):
    suspicion = Suspicion(0, PAGE_MAX)
    assert suspicion.page_size == PAGE_MAX
    assert not suspicion.on_trial
    for page in pages:
        assert suspicion.passed(page, PAGE_MAX) or page == PAGE_MAX
        assert suspicion.over


@given(
    st.builds(
        Trial,
        st.builds(b"%d-%d".__mod__, st.tuples(st.integers(0, 2**63), st.integers(0, 2**63))),
        *[st.integers(0, 300)] * 3,
        st.booleans(),
        st.lists(st.integers(0, 300), max_size=5).map(tuple),
    )
)
def test_a_trial_is_kept_as_it_is(trial):
    assert read_trial(trial.record) == trial


@given(st.none() | st.binary(max_size=40))
def test_a_record_that_somebody_broke_is_none(record):
    assert read_trial(record) is None or record[:1].isdigit()
