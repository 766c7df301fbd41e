"""A batch and its verdicts: no letter without a witness, whatever the table does."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SinkUnavailable
from common.event import LocationEvent
from consumers.history import batch as batches
from consumers.history.batch import Batch, TableRefusesAll
from consumers.history.table import RowsRefused
from consumers.stream.entry import PlacedEvent

T0 = datetime(2026, 1, 1, tzinfo=UTC)
RETRIES = 3


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(batches, "RECORD_RETRY_PAUSE_S", 0)


class OddRefusal(Exception):
    """Of unknown kind."""


class FakeTable:
    """Refuses what is in `poison`; each call first does what `weather` says next.

    Weather: "fine", "away" (nothing is stored), "lost" (stored, and the answer is lost), "shut"
    (everything is refused).
    """

    def __init__(self, poison=(), weather=(), error=ValueError):
        self.poison = set(poison)
        self.weather = list(weather)
        self.error = error
        self.stored = set()
        self.witnessed = 0
        # How often it was shut for a row: one that is, and open for its neighbours, as often as
        # a row is tried cannot be told from poison.
        self.shut_for = Counter()

    def _next(self):
        return self.weather.pop(0) if self.weather else "fine"

    async def store(self, rows, *, possibly_stored=False):
        weather = self._next()
        if weather == "away":
            raise SinkUnavailable("away")
        keys = {row[:2] for row in rows}
        if weather == "shut":
            self.shut_for.update(keys)
        if weather == "shut" or keys & self.poison:
            raise RowsRefused(self.error("no"))
        # A straight COPY would collide.
        assert possibly_stored or not keys & self.stored
        new = len(keys - self.stored)
        self.stored |= keys
        if weather == "lost":
            raise SinkUnavailable("the answer is lost")
        return new

    async def takes_a_row(self):
        weather = self._next()
        if weather in {"away", "lost"}:
            raise SinkUnavailable("away")
        self.witnessed += weather == "fine"
        return weather == "fine"


def placed(numbers):
    events = []
    for place, number in enumerate(numbers):
        when = T0 + timedelta(seconds=number)
        event = LocationEvent(
            driver_id="d", recorded_at=when, latitude=1.0, longitude=2.0, received_at=when
        )
        events.append(PlacedEvent(b"%d-0" % place, None, event, b"%d" % number))
    return events


def key(number):
    return ("d", T0 + timedelta(seconds=number))


async def settle(batch, table):
    """As the stage does: again until it is done. Returns letters and failures on the way."""
    failures = []
    while True:
        try:
            return await batch.store(table), failures
        except SinkUnavailable as e:
            failures.append(e)
            assert len(failures) < 200


WEATHER = st.lists(st.sampled_from(["fine", "away", "lost", "shut"]), max_size=40)


@given(
    st.lists(st.integers(0, 20), max_size=30),
    st.sets(st.integers(0, 20), max_size=5),
    WEATHER,
    st.sampled_from([ValueError, OddRefusal]),
)
def test_each_event_is_stored_or_lettered_and_only_poison_is_lettered(
    numbers, poison, weather, error
):
    events = placed(numbers)
    table = FakeTable(map(key, poison), weather, error)
    batch = Batch(events, possibly_stored=False, retries=RETRIES, advanced=lambda: None)
    letters, _ = asyncio.run(settle(batch, table))
    lettered = {int(letter.payload) for letter in letters}
    assert [letter.payload for letter in letters] == [b"%d" % n for n in numbers if n in lettered]
    assert lettered >= poison.intersection(numbers)
    assert all(table.shut_for[key(n)] >= RETRIES for n in lettered - poison)
    assert table.stored >= {key(n) for n in numbers if n not in lettered}
    assert not table.stored & table.poison
    assert all(letter.attempts == RETRIES for letter in letters)
    assert not letters or table.witnessed


@given(st.lists(st.integers(0, 20), min_size=1, unique=True), st.booleans())
def test_a_table_that_refuses_everything_has_no_witness(numbers, is_unknown):
    table = FakeTable(weather=["shut"] * 60, error=OddRefusal if is_unknown else ValueError)
    batch = Batch(placed(numbers), possibly_stored=False, retries=RETRIES, advanced=lambda: None)
    letters, failures = asyncio.run(settle(batch, table))
    assert letters == []
    assert table.stored == {key(n) for n in numbers}
    # Found out without trying each row.
    assert isinstance(failures[-1], TableRefusesAll)


def test_outages_do_not_count_as_refusals_of_unknown_kind():
    table = FakeTable([key(1)], ["away"] * 10, OddRefusal)
    batch = Batch(placed([1, 2]), possibly_stored=False, retries=RETRIES, advanced=lambda: None)

    async def main():
        failures = []
        while True:
            try:
                return await batch.store(table), failures
            except SinkUnavailable as e:
                failures.append(isinstance(e.__cause__, OddRefusal))

    letters, failures = asyncio.run(main())
    assert failures == [False] * 10 + [True] * (RETRIES - 1)
    assert len(letters) == 1


def test_what_came_twice_is_counted():
    table = FakeTable()
    table.stored = {key(1)}
    batch = Batch(placed([1, 2, 2, 3]), possibly_stored=True, retries=1, advanced=lambda: None)
    asyncio.run(batch.store(table))
    assert batch.repeats == 2
