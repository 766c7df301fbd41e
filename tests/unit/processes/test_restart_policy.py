"""When a dead child is started again."""

import random

from common.backoff import Backoff
from common.errors import EXIT_CONFIG
from common.processes.supervision.policy import (
    NOTICE_AFTER_S,
    Halt,
    Record,
    Restart,
    RestartPolicy,
    StopNotice,
    judge,
)

POLICY = RestartPolicy()


def judge_runs(policy: RestartPolicy, runs: list[float], *, gap_s: float = 0.0) -> list[Restart]:
    """Verdicts on runs of these lengths, one after the other."""
    verdicts, record, now_s = [], Record(), 0.0
    rng = random.Random(7)
    for run_s in runs:
        now_s += run_s + gap_s
        verdict, record = judge(policy, record, status=-9, run_s=run_s, now_s=now_s, rng=rng)
        assert isinstance(verdict, Restart)
        verdicts.append(verdict)
    return verdicts


def test_wrong_settings_halt_instead_of_looping() -> None:
    verdict, _ = judge(POLICY, Record(), status=EXIT_CONFIG, run_s=100, now_s=100)
    assert verdict == Halt(EXIT_CONFIG)


def test_a_server_may_exit_with_the_same_status_and_is_restarted() -> None:
    policy = RestartPolicy(halting=frozenset())
    verdict, _ = judge(policy, Record(), status=EXIT_CONFIG, run_s=0, now_s=0)
    assert isinstance(verdict, Restart)


def test_whatever_dies_may_be_started_within_two_seconds() -> None:
    verdicts = judge_runs(POLICY, [0.1] * POLICY.short_runs_max)
    assert all(v.delay_s <= 2.0 and not v.failed for v in verdicts)


def test_delays_grow_with_short_runs() -> None:
    policy = RestartPolicy(backoff=Backoff(1.0, 64.0), short_runs_max=100)
    ceilings = [policy.backoff.ceiling_s(n) for n in range(4)]
    delays = [v.delay_s for v in judge_runs(policy, [0.1] * 4)]
    assert all(delay <= ceiling for delay, ceiling in zip(delays, ceilings, strict=True))


def test_too_many_short_runs_within_the_window_are_a_failure_that_is_still_tried() -> None:
    verdicts = judge_runs(POLICY, [0.1] * (POLICY.short_runs_max + 5))
    assert [v.failed for v in verdicts] == [False] * POLICY.short_runs_max + [True] * 5
    assert verdicts[-1].delay_s == POLICY.failed_retry_s


def test_short_runs_far_apart_are_no_failure() -> None:
    verdicts = judge_runs(POLICY, [0.1] * 50, gap_s=POLICY.window_s / POLICY.short_runs_max)
    assert not any(v.failed for v in verdicts)


def test_a_healthy_run_wipes_the_slate() -> None:
    runs = [0.1] * POLICY.short_runs_max + [POLICY.healthy_after_s] + [0.1] * POLICY.short_runs_max
    assert not any(v.failed for v in judge_runs(POLICY, runs))


def test_the_record_is_bounded() -> None:
    record = Record()
    for number in range(1000):
        _, record = judge(POLICY, record, status=1, run_s=0, now_s=number / 1000)
    assert len(record.short_runs) <= POLICY.short_runs_max


def test_who_holds_up_a_stop_is_named_once_and_not_at_once() -> None:
    notice = StopNotice("ingest", 100.0)
    assert notice.due(100.0 + NOTICE_AFTER_S / 2, 108.0) == ""
    assert notice.due(102.0, 108.0).startswith("ingest: is still stopping, for 6.0 s at most")
    assert notice.due(103.0, 108.0) == ""
