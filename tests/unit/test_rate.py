"""What a worker knows of its drivers' rates."""

import pytest

from ingest.intake.rate import DRIVERS_MAX, LEASE_FIXES, Limit, Rates, retry_after_s


def rates(limit=None):
    now = [100.0]
    return Rates(limit or Limit(10, 5000), now=lambda: now[0]), now


def test_a_lease_is_spent_and_no_more():
    found, _ = rates()
    assert found.spend("d") == 0
    found.note("d", leased=3, refused_us=None)
    assert [found.spend("d") for _ in range(5)] == [1, 1, 1, 0, 0]


def test_a_refusal_is_remembered_until_the_next_fix_is_due():
    found, now = rates()
    found.note("d", leased=0, refused_us=250_000)
    assert found.wait_s("d") == pytest.approx(0.25)
    now[0] += 0.3
    assert found.wait_s("d") == 0
    assert found.wait_s("other") == 0


def test_a_driver_is_known_to_wait_only_without_a_lease():
    found, now = rates()
    assert found.known_wait_s("d") == 0
    found.note("d", leased=2, refused_us=250_000)
    assert found.known_wait_s("d") == 0
    assert found.spend("d", 2) == 2
    assert found.known_wait_s("d") == pytest.approx(0.25)
    now[0] += 0.3
    assert found.known_wait_s("d") == 0


@pytest.mark.parametrize(("burst", "lease"), [(1, 0), (63, 0), (640, 10), (5000, LEASE_FIXES)])
def test_a_lease_is_a_small_part_of_the_burst(burst, lease):
    assert Limit(10, burst).lease == lease


def test_the_local_count_gives_the_burst_and_then_the_rate():
    found, now = rates(Limit(10, 20))
    assert found.take_locally("d", 25) == 20
    assert found.take_locally("d", 1) == 0
    now[0] += 1.0
    assert found.take_locally("d", 100) == 10
    assert found.take_locally("other", 1) == 1


def test_what_is_remembered_is_bounded():
    found, _ = rates()
    for number in range(DRIVERS_MAX + 10):
        found.note(f"d{number}", leased=1, refused_us=None)
    assert found.spend("d0") == 0
    assert found.spend(f"d{DRIVERS_MAX + 9}") == 1


def test_the_refusal_says_when():
    found, _ = rates(Limit(10, 5000))
    refused = found.too_fast(0.05)
    assert (refused.status, refused.retry_after_s) == (429, 1)
    assert dict(refused.headers) == {
        "ratelimit-policy": '"driver";q=5000;w=500',
        "ratelimit": '"driver";r=0;t=1',
    }
    assert [retry_after_s(wait) for wait in (0.0, 1.2, 9999.0)] == [1, 2, 300]
