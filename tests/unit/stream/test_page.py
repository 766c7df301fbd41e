"""Pages stay near what is wanted in fixes and bytes, and batches never exceed it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from common.stream.pack import EVENTS_MAX
from consumers.stream.entry import Entry
from consumers.stream.page import ENTRIES_MAX, BatchLimits, PageCount, batches_of


def packs(sizes: list[int], line: int = 10) -> list[Entry]:
    pack = b"\n".join
    return [Entry(b"%d-0" % n, pack([b"x" * line] * size)) for n, size in enumerate(sizes)]


LIMITS = st.builds(BatchLimits, st.integers(1, 4000), st.integers(1, 100_000))
SIZES = st.lists(st.integers(1, EVENTS_MAX) | st.just(1), max_size=60)


@given(SIZES, LIMITS)
def test_batches_are_the_page_in_its_order_within_both_limits(
    sizes: list[int], limits: BatchLimits
) -> None:
    page = packs(sizes)
    batches = list(batches_of(page, limits))
    assert [entry for batch in batches for entry in batch] == page
    for batch in batches:
        fixes = sum(entry.fixes for entry in batch)
        size = sum(len(entry.pack or b"") for entry in batch)
        assert len(batch) == 1 or (fixes <= limits.fixes and size <= limits.bytes)


# A busy machine is no failure.
@settings(deadline=None)
@given(st.lists(SIZES, max_size=20), LIMITS)
def test_what_is_asked_for_grows_to_its_double_at_most_and_is_bounded(
    pages: list[list[int]], limits: BatchLimits
) -> None:
    count = PageCount(limits)
    for sizes in pages:
        before = count.entries
        count.came(packs(sizes[: count.entries]))
        assert 1 <= count.entries <= min(2 * before, ENTRIES_MAX, limits.fixes)


# A busy machine is no failure.
@settings(deadline=None)
@given(st.integers(1, EVENTS_MAX), LIMITS, st.integers(1, 4000))
def test_packs_of_one_size_soon_fill_pages_of_the_right_size(
    size: int, limits: BatchLimits, line: int
) -> None:
    count = PageCount(limits)
    (entry,) = packs([size], line)
    for _ in range(12):
        count.came([entry] * count.entries)
    page = count.entries
    assert page == 1 or (
        page * size <= limits.fixes and page * len(entry.pack or b"") <= limits.bytes
    )
    assert (
        (page + 1) * size > limits.fixes
        or (page + 1) * len(entry.pack or b"") > limits.bytes
        or page == ENTRIES_MAX
    )


def test_an_empty_page_says_nothing() -> None:
    count = PageCount(BatchLimits(4000))
    before = count.entries
    count.came([])
    count.came([Entry(b"1-0", None)])
    assert before <= count.entries <= 2 * before
