"""Which repeats of a fix are conflicts: those that say something else than what is stored."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.event import LocationEvent
from consumers.history.row import Row, conflicts_among, row_of, rows_of
from consumers.stream.entry import Entry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(number: int, second: int = 0, **values: Any) -> Entry:
    """The `number`th entry, of the fix of `second`; each arrives later than the one before."""
    said: dict[str, Any] = {"latitude": 1.0, "longitude": 2.0} | values
    event = LocationEvent(
        driver_id="d",
        recorded_at=NOW + timedelta(seconds=second),
        received_at=NOW + timedelta(minutes=number),
        **said,
    )
    return Entry(b"%d-0" % number, event, b"")


def count(entries: list[Entry], stored: dict[int, Row], refused: tuple[int, ...] = ()) -> int:
    """Conflicts of a batch, with these rows (by second) in the table before."""
    rows, repeated = rows_of(entries)
    differing = []
    for row in rows:
        there = stored.get((row[1] - NOW).seconds)
        if there is not None and there[3:] != row[3:]:
            differing.append(there)
    keys = {("d", NOW + timedelta(seconds=second)) for second in refused}
    return len(conflicts_among(rows, repeated, differing, keys))


A = {"speed": 1.0}
B = {"speed": 2.0}
C = {"order_id": "o"}


@pytest.mark.parametrize(
    ("before", "said", "conflicts"),
    [
        (None, [A], 0),
        (None, [A, A, A], 0),
        (None, [A, B], 1),
        (None, [A, B, C, A], 2),
        (A, [A, A], 0),
        (A, [B], 1),
        (A, [B, B], 2),
        (A, [A, B, A], 1),
        # The first of the batch is in conflict with the table, the second is not.
        (A, [B, A], 1),
        (A, [B, A, C, A], 2),
    ],
)
def test_every_entry_that_differs_from_what_is_stored_counts(before, said, conflicts):
    stored = {} if before is None else {0: row_of(entry(0, **before).event)}
    entries = [entry(n + 1, **values) for n, values in enumerate(said)]
    assert count(entries, stored) == conflicts
    # Other fixes beside it change nothing.
    others = [entry(n + 50, second=n + 1) for n in range(5)]
    assert count([*others[:2], *entries, *others[2:]], stored) == conflicts


def test_a_fix_that_the_database_refuses_is_in_conflict_with_nobody():
    assert count([entry(1, **A), entry(2, **B)], {}, refused=(0,)) == 0


def test_rows_are_sorted_and_the_first_of_each_key_stays():
    rows, repeated = rows_of([entry(1, 5), entry(2, 3), entry(3, 5, **B), entry(4, 4)])
    assert [row[1].second for row in rows] == [3, 4, 5]
    assert rows[2][5] is None
    assert [row[5] for row in repeated] == [2.0]
