"""Pages shrink around an entry that kills the worker, and only around that."""

from consumers.stream.catch_up import ALONE_AFTER, is_killer, page_size

PAGE_MAX = 2000


def test_healthy_entries_come_in_full_pages():
    assert [page_size(n, PAGE_MAX) for n in (0, 1, 2, 3)] == [PAGE_MAX] * 4


def test_a_killer_stands_alone_after_a_few_crashes_and_is_given_up_soon():
    deliveries, crashes = 1, 0
    sizes = []
    while not is_killer(deliveries, retries_max=3):
        sizes.append(page_size(deliveries, PAGE_MAX))
        deliveries += 1
        crashes += 1
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 1
    assert crashes <= ALONE_AFTER + 3
