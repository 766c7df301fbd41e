import pytest

from common.errors import Overloaded
from ingest.intake.capacity import Capacity


def opened(*waiting: int, fixes_max: int = 10) -> Capacity:
    capacity = Capacity(len(waiting), fixes_max)
    capacity.correct(capacity.snapshot([0] * len(waiting)), waiting)
    return capacity


def test_nothing_is_taken_before_the_first_look() -> None:
    capacity = Capacity(2, 10)
    with pytest.raises(Overloaded, match="asked"):
        capacity.reserve(0)


def test_own_additions_fill_a_shard_between_polls() -> None:
    capacity = opened(8, 0)
    capacity.reserve_all([2])
    assert capacity.full() == [0]
    with pytest.raises(Overloaded, match="shard 0"):
        capacity.reserve(0)
    capacity.reserve(1)


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    capacity = opened(8)
    with pytest.raises(Overloaded):
        capacity.reserve_all([3])
    capacity.reserve_all([2])


def test_what_was_added_after_the_question_still_counts() -> None:
    capacity = opened(0)
    capacity.reserve_all([4])
    snapshot = capacity.snapshot([0])
    capacity.reserve_all([3])
    # Redis was asked when the first 4 waited.
    capacity.correct(snapshot, [4])
    capacity.reserve_all([3])
    with pytest.raises(Overloaded):
        capacity.reserve(0)


def test_what_gathers_while_redis_is_asked_is_not_forgotten() -> None:
    """The answer cannot count what leaves behind the question, and the room was given twice."""
    capacity = opened(0)
    capacity.reserve_all([7])
    # 4 of the 7 have left, 3 gather.
    snapshot = capacity.snapshot([3])
    capacity.correct(snapshot, [4])
    capacity.reserve_all([3])
    with pytest.raises(Overloaded):
        capacity.reserve(0)


def test_a_shard_that_drained_takes_again() -> None:
    capacity = opened(10)
    assert capacity.full() == [0]
    capacity.correct(capacity.snapshot([0]), [0])
    capacity.reserve_all([10])


def test_an_unknown_number_changes_nothing() -> None:
    capacity = opened(9)
    capacity.correct(capacity.snapshot([0]), [None])
    capacity.reserve(0)
    assert capacity.full() == [0]


def test_closing_says_why() -> None:
    capacity = opened(0)
    capacity.close("because")
    with pytest.raises(Overloaded, match="because"):
        capacity.reserve(0)


def test_a_batch_refused_by_one_full_shard_takes_nothing_of_the_others() -> None:
    """Sixty such batches used up the room of healthy shards, which then refused too."""
    capacity = opened(0, 10)
    for _ in range(60):
        with pytest.raises(Overloaded, match="shard 1"):
            capacity.reserve_all([1, 1])
    capacity.reserve_all([10, 0])
