"""What a worker knows of its drivers' rates."""

import pytest

from common.errors import Refused
from ingest.intake.pace import RETRY_AFTER_MAX_S, Ask, retry_after_s
from ingest.intake.per_driver import DRIVERS_MAX, LEASE_FIXES, Limit, PerDriver


def paced(limit=None):
    now = [100.0]
    return PerDriver(limit or Limit(10, 5000), now=lambda: now[0]), now


def ask(count, driver_id="d"):
    return Ask(driver_id, range(count), [b"x"] * count)


def is_refused(pace, driver_id="d"):
    try:
        pace.require(driver_id)
    except Refused as e:
        assert e.status == 429
        return True
    return False


def test_a_lease_is_spent_and_no_more():
    pace, _ = paced()
    assert not pace.spend("d")
    assert pace.note(ask(1), (1, 3, 0, b"1-0")) == (1, 0.0)
    assert [pace.spend("d") for _ in range(5)] == [True, True, True, False, False]


def test_a_refusal_is_remembered_until_the_next_fix_is_due():
    pace, now = paced()
    assert pace.note(ask(1), (0, 0, 250_000, b"")) == (0, 0.25)
    assert pace.wait_s("d") == pytest.approx(0.25)
    now[0] += 0.3
    assert pace.wait_s("d") == 0
    assert pace.wait_s("other") == 0


def test_the_next_fix_is_due_before_all_that_are_missing():
    pace, _ = paced()
    assert pace.note(ask(10), (4, 0, 600_000, b"1-0")) == (4, 0.6)
    assert pace.wait_s("d") == pytest.approx(0.1)


def test_a_driver_is_known_to_wait_only_without_a_lease():
    pace, now = paced()
    assert not is_refused(pace)
    pace.note(ask(3), (0, 2, 450_000, b""))
    assert not is_refused(pace)
    assert pace.spend("d")
    assert pace.spend("d")
    assert is_refused(pace)
    now[0] += 0.3
    assert not is_refused(pace)


def test_a_request_is_sorted_into_what_is_paid_asked_for_and_waiting():
    pace, _ = paced()
    pace.note(ask(1, "paid"), (1, 2, 0, b"1-0"))
    pace.note(ask(1, "waits"), (0, 0, 500_000, b""))
    fixes = [(name, b"%d" % n) for n, name in enumerate(("paid", "asks", "waits") * 3)]
    admission = pace.admit(fixes, whole=False)
    assert admission.paid == [fixes[0], fixes[3]]
    assert [(a.driver_id, list(a.indexes), list(a.events)) for a in admission.asks] == [
        ("asks", [1, 4, 7], [b"1", b"4", b"7"]),
        ("paid", [6], [b"6"]),
    ]
    assert admission.limited == [2, 5, 8]
    assert admission.wait_s == pytest.approx(0.5)


@pytest.mark.parametrize(("burst", "lease"), [(1, 0), (63, 0), (640, 10), (5000, LEASE_FIXES)])
def test_a_lease_is_a_small_part_of_the_burst(burst, lease):
    assert Limit(10, burst).lease == lease


def test_the_local_account_gives_the_burst_and_then_the_rate():
    pace, now = paced(Limit(10, 20))
    assert pace.take_locally(ask(25), whole=False) == (20, 0.5)
    assert pace.take_locally(ask(1), whole=False) == (0, 0.1)
    now[0] += 1.0
    assert pace.take_locally(ask(100), whole=False) == (10, 9.0)
    assert pace.take_locally(ask(1, "other"), whole=False) == (1, 0.0)


def test_the_local_account_takes_a_whole_body_or_leaves_it():
    pace, _ = paced(Limit(10, 20))
    assert pace.take_locally(ask(15), whole=True) == (15, 0.0)
    assert pace.take_locally(ask(6), whole=True)[0] == 0
    assert pace.take_locally(ask(5), whole=True) == (5, 0.0)


def test_refused_fixes_are_charged_and_an_overdrawn_account_waits():
    """A driver's broken fixes cost no rate, and their judging took the loop from everybody."""
    pace, now = paced(Limit(10, 100))
    pace.note(ask(1), (1, 32, 0, b"1-0"))
    pace.charge("d", 100)
    assert not is_refused(pace)
    pace.charge("d", 50)
    assert is_refused(pace)
    assert not pace.spend("d")
    now[0] += 4.9
    assert is_refused(pace)
    now[0] += 0.2
    assert not is_refused(pace)
    assert not is_refused(pace, "other")


def test_no_charge_shuts_a_driver_out_for_longer_than_it_is_told():
    pace, now = paced(Limit(10, 100))
    for _ in range(50):
        pace.charge("d", 10_000)
    now[0] += RETRY_AFTER_MAX_S + 0.1
    assert not is_refused(pace)


def test_what_is_remembered_is_bounded():
    pace, _ = paced()
    for number in range(DRIVERS_MAX + 10):
        pace.note(ask(1, f"d{number}"), (1, 1, 0, b"1-0"))
    assert not pace.spend("d0")
    assert pace.spend(f"d{DRIVERS_MAX + 9}")


def test_the_refusal_says_when():
    pace, _ = paced(Limit(10, 5000))
    refused = pace.too_fast(0.05)
    assert (refused.status, refused.retry_after_s) == (429, 1)
    assert dict(refused.headers) == {
        "ratelimit-policy": '"driver";q=5000;w=500',
        "ratelimit": '"driver";r=0;t=1',
    }
    assert [retry_after_s(wait) for wait in (0.0, 1.2, 9999.0)] == [1, 2, 300]
