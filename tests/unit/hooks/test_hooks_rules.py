"""When a delivery is tried again, how fast a receiver is asked, and what its answer means."""

import itertools
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.webhooks.limits import RETRY_S
from common.webhooks.trouble import Trouble
from consumers.hooks.outcome import RETRY_AFTER_MAX_S, retry_after_s, trouble_of
from consumers.hooks.pace import BURST, CONCURRENCY, FAILURES_MAX, PROBE, RATE_PER_S, SendingPace
from consumers.hooks.schedule import RETRY, retry_delay_s

DAY_S = 86_400.0
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@given(st.integers(0, 2**32))
def test_a_delivery_that_always_fails_is_tried_for_a_day_and_once_at_its_end(seed):
    rng, at_s, tries = random.Random(seed), 0.0, [0.0]
    while (delay_s := retry_delay_s(len(tries), RETRY_S - at_s, 0.0, rng)) is not None:
        assert delay_s <= RETRY.most_s
        at_s += delay_s
        tries.append(at_s)
    assert tries[-1] == pytest.approx(DAY_S)
    # Soon at first, and not for ever.
    assert tries[1] <= 1.0
    assert 24 <= len(tries) <= 200


@given(st.integers(1, 60), st.floats(0, DAY_S), st.floats(0, 3600), st.integers(0, 2**32))
def test_a_receiver_is_left_alone_as_long_as_it_asks_but_not_beyond_the_day(n, left, asked, seed):
    delay_s = retry_delay_s(n, left, asked, random.Random(seed))
    if left <= 0:
        assert delay_s is None
    else:
        assert min(asked, left) <= delay_s <= left


def test_a_delivery_without_time_is_dead_at_its_first_failure():
    assert retry_delay_s(1, 0.0, 60.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, 0), ("", 0), ("7", 7), (" 7 ", 7), ("-7", 0), ("7.5", 0), ("soon", 0), ("¹", 0),
        ("9" * 5000, RETRY_AFTER_MAX_S), ("999999999999", RETRY_AFTER_MAX_S),
        ("Sun, 01 Mar 2026 12:01:00 GMT", 60), ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 9999 12:01:00 GMT", RETRY_AFTER_MAX_S), ("Sun, 99 Mar 2026 12:01:00 GMT", 0),
    ],
)  # fmt: skip
def test_what_a_receiver_asks_for(text, seconds):
    assert retry_after_s(text, NOW) == seconds


@given(st.text(max_size=60))
def test_no_header_is_an_error(text):
    assert 0 <= retry_after_s(text, NOW) <= RETRY_AFTER_MAX_S


def test_statuses():
    assert {trouble_of(code) for code in range(200, 300)} == {None}
    assert {trouble_of(code) for code in range(300, 400)} == {Trouble.REDIRECT}
    assert trouble_of(410) is Trouble.GONE
    assert {trouble_of(code) for code in (400, 401, 404, 429, 500, 503, 599)} == {Trouble.STATUS}


def drive(pace, seconds, behave, step_s=0.01, answer_s=0.05):
    """Send whenever it may; times of requests. `behave(now)` says whether one is taken."""
    now, sent, under_way = 0.0, [], []
    for _ in range(round(seconds / step_s)):
        now += step_s
        for end in [end for end in under_way if end <= now]:
            under_way.remove(end)
            pace.note(now, taken=behave(now))
        while pace.wait_s(now, len(under_way)) <= 0:
            pace.take(now)
            sent.append(now)
            under_way.append(now + answer_s)
            assert len(under_way) <= CONCURRENCY
    return sent


def test_a_healthy_receiver_gets_no_more_than_its_rate():
    sent = drive(SendingPace(), 20, lambda _: True, answer_s=0.005)
    assert RATE_PER_S * 19 <= len(sent) <= RATE_PER_S * 20 + BURST


def test_a_dead_receiver_is_asked_less_and_less():
    sent = drive(SendingPace(random.Random(1)), 1800, lambda _: False, step_s=0.1)
    late = [at for at in sent if at > 600]
    assert len([at for at in sent if at < 60]) < CONCURRENCY * FAILURES_MAX
    # Full jitter: half of PROBE.most_s between two on the average, never beyond.
    assert 1200 / PROBE.most_s <= len(late) <= 1200 / PROBE.most_s * 4
    assert max(b - a for a, b in itertools.pairwise(late)) <= PROBE.most_s + 1


def test_one_that_is_back_is_sent_to_at_once():
    pace = SendingPace(random.Random(1))
    sent = drive(pace, 700, lambda now: now > 600, step_s=0.1)
    back = next(at for at in sent if at > 600)
    assert back <= 600 + PROBE.most_s + 1
    assert len([at for at in sent if back <= at <= back + 5]) > 100


def test_it_says_once_that_a_receiver_is_back():
    pace = SendingPace(random.Random(1))
    assert not pace.note(0, taken=True)
    for _ in range(FAILURES_MAX):
        pace.note(0, taken=False)
    assert pace.probing
    assert pace.wait_s(1000, 1) == float("inf")
    assert pace.note(1000, taken=True)
    assert not pace.note(1000, taken=True)


def test_a_receiver_that_asks_to_be_left_alone_is():
    pace = SendingPace()
    pace.note(0, taken=False, retry_after_s=30)
    assert pace.wait_s(1, 0) == 29
    assert pace.wait_s(30, 0) == 0


def test_the_schema_and_the_rule_agree_on_how_long_a_delivery_is_tried():
    from tests.test_tidy import ROOT

    schema = (ROOT / "deploy/schema/0006_webhooks.sql").read_text()
    hours = timedelta(seconds=RETRY_S) // timedelta(hours=1)
    assert f"DEFAULT clock_timestamp() + interval '{hours} hours'" in schema
