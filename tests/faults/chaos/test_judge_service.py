"""The judge of what was waited for finds each violation, and nothing that a fault explains."""

import pytest

from tests.faults.chaos.memory import Memory
from tests.faults.chaos.service import (
    GROWTH_BYTES,
    LIVE_GAP_MAX_S,
    Refusal,
    Waited,
    judge_service,
    refused_for_s,
)
from tests.faults.chaos.verdict import Verdict
from tests.faults.chaos.windows import (
    RECOVERY_S,
    RESUME_S,
    Watched,
    Window,
    recovery_s,
    unexplained_s,
)


def counts(waited: Waited) -> dict[str, int]:
    verdict = Verdict()
    judge_service(waited, verdict)
    return dict(verdict.counts)


def window(target: str, from_s: float, to_s: float, shard: int = 0) -> Window:
    return Window(target, shard, from_s, to_s)


def test_what_no_window_and_no_recovery_covers_is_unexplained():
    assert RECOVERY_S == 5
    assert unexplained_s(10, 20, []) == 10
    assert unexplained_s(10, 20, [window("up", 9, 30)]) == 0
    assert unexplained_s(10, 20, [window("up", 0, 4)]) == 10
    assert unexplained_s(10, 20, [window("up", 0, 6)]) == 9
    assert unexplained_s(10, 20, [window("up", 18, 19)]) == 8
    assert unexplained_s(10, 20, [window("up", 21, 22)]) == 10
    # One within another, and one after a pause.
    assert unexplained_s(
        10, 40, [window("a", 27, 28), window("b", 12, 18), window("c", 13, 14)]
    ) == (2 + 4 + 7)


def test_what_only_paused_explains_less():
    assert recovery_s("cut", 0) == recovery_s("fill", 3) == recovery_s("freeze", 3) == RESUME_S
    assert recovery_s("kill", 0) == recovery_s("term", 0) == recovery_s("freeze", 5) == RECOVERY_S
    assert unexplained_s(10, 20, [Window("redis", 0, 9, 11, RESUME_S)]) == 20 - 11 - RESUME_S


@pytest.mark.parametrize("status", [503, 0])
def test_a_refusal_is_late_unless_ingest_itself_was_out_of_order(status):
    late = ((3.5, 100.0, status),)
    assert counts(Waited(late)) == {"refused too late": 1}
    for target in ("ingest", "ingest-worker", "gateway", "up"):
        assert counts(Waited(late, windows=[window(target, 99, 101)])) == {}
        assert counts(Waited(late, windows=[window(target, 103, 103)])) == {}
        assert counts(Waited(late, windows=[window(target, 80, 90)])) == {"refused too late": 1}
    # These it must answer for.
    for target in ("redis", "postgres", "consumer", "consumers", "fanout"):
        assert counts(Waited(late, windows=[window(target, 90, 110)])) == {"refused too late": 1}


def test_what_is_no_refusal_or_hardly_late_is_none():
    assert counts(Waited(((2.6, 100.0, 503), (4.0, 100.0, 202)))) == {}


def test_a_gap_in_live_frames_is_one_unless_something_on_its_way_was_out_of_order():
    gaps = [(Watched(2), [(8.0, 100.0)])]
    assert counts(Waited(gaps=gaps)) == {"live stood still": 1}
    for target in ("ingest", "redis", "fanout", "consumers", "gateway", "up"):
        assert counts(Waited(gaps=gaps, windows=[window(target, 100, 101)])) == {}
        # Back, but not within the recovery that a fault may take.
        late = [window(target, 90, 99.0)]
        assert counts(Waited(gaps=gaps, windows=late)) == {"live stood still": 1}
    assert counts(Waited(gaps=gaps, windows=[window("consumer", 100, 101, shard=2)])) == {}
    # Neither another shard nor the database carries its frames.
    for other in (window("consumer", 100, 108, shard=1), window("postgres", 100, 108)):
        assert counts(Waited(gaps=gaps, windows=[other])) == {"live stood still": 1}
    assert counts(Waited(gaps=[(Watched(2), [(LIVE_GAP_MAX_S, 100.0)])])) == {}


def test_a_server_of_a_cluster_explains_what_happens_to_its_own_keys_alone():
    lost = Window("redis", 0, 100, 100, slots={1, 2})
    for slots, explained in (({1}, True), ({2, 9}, True), ({9}, False)):
        wanted = {} if explained else {"live stood still": 1}
        gaps = [(Watched(0, slots), [(7.0, 100.0)])]
        assert counts(Waited(gaps=gaps, windows=[lost])) == wanted
        refusals = [Refusal(101.0, 0.2, slots)]
        wanted = {} if explained else {"refused for nothing": 1}
        assert counts(Waited(refusals=refusals, windows=[lost])) == wanted


def test_a_refusal_is_for_nothing_unless_what_takes_the_fix_was_out_of_order():
    refusals = [Refusal(100.0, 1.0, {5})]
    assert counts(Waited(refusals=refusals)) == {"refused for nothing": 1}
    for target in ("ingest", "ingest-worker", "gateway", "up", "redis", "replica"):
        assert counts(Waited(refusals=refusals, windows=[window(target, 100.5, 101)])) == {}
        assert counts(Waited(refusals=refusals, windows=[window(target, 95.5, 96)])) == {}
        late = [window(target, 90, 94)]
        assert counts(Waited(refusals=refusals, windows=late)) == {"refused for nothing": 1}
    for target in ("postgres", "consumer", "consumers", "fanout"):
        around = [window(target, 99, 102)]
        assert counts(Waited(refusals=refusals, windows=around)) == {"refused for nothing": 1}


def test_the_fan_out_delivers_as_long_as_one_server_of_redis_does():
    assert counts(Waited(unready=[100.0])) == {"not ready": 1}
    for target in ("fanout", "up", "redis"):
        assert counts(Waited(unready=[100.0], windows=[window(target, 99, 99)])) == {}
    one = [Window("redis", 0, 99, 99, slots={1})]
    assert counts(Waited(unready=[100.0], windows=one)) == {"not ready": 1}


def test_how_long_the_fixes_of_a_lost_server_were_refused():
    lost = Window("redis", 0, 100, 100, slots={1})
    moments = ((99, 1), (102, 1), (104, 2), (110, 1))
    refusals = [Refusal(at_s, 0.5, {slot}) for at_s, slot in moments]
    assert refused_for_s(lost, refusals, [lost]) == 10.5
    again = [Window("redis", 0, 105, 105, slots=slots) for slots in ({1, 2}, None)]
    assert all(refused_for_s(lost, refusals, [lost, other]) == 2.5 for other in again)
    elsewhere = [lost, Window("redis", 0, 105, 105, slots={2}), window("postgres", 101, 102)]
    assert refused_for_s(lost, refusals, elsewhere) == 10.5
    assert refused_for_s(lost, [], [lost]) == 0


def test_memory_that_has_not_come_back_is_one():
    mb = 1_048_576
    fine = Memory(before=50 * mb, peak=900 * mb, after=100 * mb + GROWTH_BYTES)
    assert counts(Waited(memory={"ingest": fine})) == {}
    leak = Memory(before=50 * mb, peak=900 * mb, after=101 * mb + GROWTH_BYTES)
    assert counts(Waited(memory={"ingest": fine, "fanout": leak})) == {"memory grew": 1}
