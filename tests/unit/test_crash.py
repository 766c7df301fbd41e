"""Pages shrink around an entry that kills the worker, and only around that."""

from hypothesis import given
from hypothesis import strategies as st

from consumers.stream.crash import (
    ALONE_AFTER,
    NORMAL_TIMES,
    Pending,
    Suspicion,
    is_killer,
    page_size,
    plan_page,
)

PAGE_MAX = 400
RETRIES = 3
# Deaths until an entry that kills is given up, wherever it stands.
DEATHS_MAX = ALONE_AFTER + RETRIES + 1


def test_healthy_entries_come_in_full_pages():
    assert [page_size(n, PAGE_MAX) for n in range(NORMAL_TIMES + 1)] == [PAGE_MAX] * 3
    assert not plan_page([Pending(b"1-0", NORMAL_TIMES)], PAGE_MAX, RETRIES).is_killer


def test_pages_shrink_until_an_entry_stands_alone():
    sizes = [page_size(times, PAGE_MAX) for times in range(ALONE_AFTER + RETRIES + 1)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[ALONE_AFTER] == 1
    assert not is_killer(ALONE_AFTER, RETRIES)
    assert is_killer(ALONE_AFTER + RETRIES, RETRIES)


def entry_id(number):
    return b"%d-0" % (number + 1)


@given(st.integers(1, 900), st.data())
def test_the_history_finds_the_killer_and_blames_nobody_else(count, data):
    """A model of the pending list: each start counts what it begins, and dies of one entry."""
    killer = entry_id(data.draw(st.integers(0, count - 1)))
    times = {entry_id(n): 1 for n in range(count)}
    given_up, deaths = [], 0
    while times:
        assert deaths <= DEATHS_MAX
        pending = [Pending(*item) for item in list(times.items())[:PAGE_MAX]]
        plan = plan_page(pending, PAGE_MAX, RETRIES)
        begun = pending[0].times + 1
        if plan.is_killer:
            given_up += plan.ids
        elif killer in plan.ids:
            deaths += 1
            times |= dict.fromkeys(plan.ids, begun)
            continue
        for settled in plan.ids:
            del times[settled]
    assert given_up == [killer]


@given(st.integers(1, 1200), st.data())
def test_the_live_stage_finds_the_killer_and_passes_nobody_else_over(count, data):
    """The same with a cursor and one count that it keeps in Redis."""
    killer = data.draw(st.integers(0, count - 1))
    cursor, begun, deaths = 0, 0, 0
    given_up = []
    while cursor < count:
        # A start.
        assert deaths <= 2 * DEATHS_MAX
        suspicion = Suspicion(begun, PAGE_MAX, RETRIES)
        if suspicion.is_killer:
            given_up.append(cursor)
            cursor += 1
        counted = False
        while cursor < count:
            page = range(cursor, min(count, cursor + suspicion.page_size))
            if not suspicion.over and not counted:
                begun, counted = begun + 1, True
            if killer in page and killer not in given_up:
                deaths += 1
                break
            cursor = page.stop
            if not suspicion.over:
                suspicion.passed(len(page))
            if suspicion.over:
                begun = 0
    assert given_up == [killer]


@given(st.lists(st.integers(1, PAGE_MAX), max_size=20))
def test_without_a_crash_the_first_page_ends_the_suspicion(pages):
    suspicion = Suspicion(0, PAGE_MAX, RETRIES)
    assert suspicion.page_size == PAGE_MAX
    assert not suspicion.is_killer
    for page in pages:
        suspicion.passed(page)
        assert suspicion.over
