import pytest

from common.errors import Overloaded
from ingest.intake.backlog import Rooms


def opened(*lengths: int, entries_max: int = 10) -> Rooms:
    rooms = Rooms(len(lengths), entries_max)
    rooms.set_right(rooms.noted(), lengths)
    return rooms


def test_nothing_is_taken_before_the_first_look() -> None:
    rooms = Rooms(2, 10)
    with pytest.raises(Overloaded, match="asked"):
        rooms.take(0)


def test_own_additions_fill_a_shard_between_polls() -> None:
    rooms = opened(8, 0)
    rooms.take(0, 2)
    assert rooms.full() == [0]
    with pytest.raises(Overloaded, match="shard 0"):
        rooms.take(0)
    rooms.take(1)


def test_a_batch_is_taken_whole_or_not_at_all() -> None:
    rooms = opened(8)
    with pytest.raises(Overloaded):
        rooms.take(0, 3)
    rooms.take(0, 2)


def test_what_was_added_after_the_question_still_counts() -> None:
    rooms = opened(0)
    rooms.take(0, 4)
    noted = rooms.noted()
    rooms.take(0, 3)
    # The stream was asked when it held the first 4.
    rooms.set_right(noted, [4])
    rooms.take(0, 3)
    with pytest.raises(Overloaded):
        rooms.take(0)


def test_a_shard_that_drained_takes_again() -> None:
    rooms = opened(10)
    assert rooms.full() == [0]
    rooms.set_right(rooms.noted(), [0])
    rooms.take(0, 10)


def test_an_unknown_length_changes_nothing() -> None:
    rooms = opened(9)
    rooms.set_right(rooms.noted(), [None])
    rooms.take(0)
    assert rooms.full() == [0]


def test_closing_says_why() -> None:
    rooms = opened(0)
    rooms.close("because")
    with pytest.raises(Overloaded, match="because"):
        rooms.take(0)
