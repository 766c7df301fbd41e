"""Isolation: offenders are found, the others are stored, and it takes few tries."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import SinkUnavailable
from consumers.history.isolate import line_of, store_others
from consumers.history.table import RowsRefused


class Refusal(Exception):
    """What the database says; `context` names the row, or nothing."""

    def __init__(self, context):
        super().__init__("refused")
        self.context = context


class PickyTable:
    """A table that refuses some rows, as PostgreSQL does: whole parts, naming the first or not."""

    def __init__(self, poison, *, names_row):
        self.poison = poison
        self.names_row = names_row
        self.rows = []
        self.tries = 0

    async def store(self, part):
        self.tries += 1
        for index, row in enumerate(part):
            if row in self.poison:
                context = f"COPY locations, line {index + 1}" if self.names_row else None
                raise RowsRefused(Refusal(context))
        self.rows += part


async def isolate(table, rows):
    try:
        await table.store(rows)
    except RowsRefused as e:
        return await store_others(table.store, rows, e.error)
    return []


@given(st.integers(1, 60), st.data(), st.booleans())
def test_exactly_the_offenders_are_refused(count, data, names_row):
    rows = list(range(count))
    poison = data.draw(st.sets(st.sampled_from(rows)))
    table = PickyTable(poison, names_row=names_row)
    refused = asyncio.run(isolate(table, rows))
    assert {one.row for one in refused} == poison
    assert sorted(table.rows) == [row for row in rows if row not in poison]
    assert len(refused) == len(poison)


@pytest.mark.parametrize("names_row", [True, False])
def test_one_offender_costs_few_tries(names_row):
    table = PickyTable({617}, names_row=names_row)
    asyncio.run(isolate(table, list(range(1000))))
    # Halving: each level fails once and stores the other half once.
    assert table.tries <= (3 if names_row else 2 * math.ceil(math.log2(1000)) + 2)


def test_a_database_that_goes_away_meanwhile_ends_the_search():
    async def store(part):
        raise SinkUnavailable("gone")

    with pytest.raises(SinkUnavailable):
        asyncio.run(store_others(store, [1, 2], Refusal(None)))


@pytest.mark.parametrize(
    ("context", "index"),
    [
        ("COPY locations, line 1", 0),
        ("COPY locations_stage, line 42, column driver_id", 41),
        ("PL/pgSQL function f() line 3", None),
        ('PL/pgSQL function f() line 3 at RAISE\nCOPY locations, line 7: "…"', 6),
        (None, None),
    ],
)
def test_the_row_that_postgresql_names(context, index):
    assert line_of(Refusal(context)) == index
