"""Rows that come late leave a mark, in the transaction that stores them."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from common.errors import ConfigError
from common.settings import load_settings
from consumers.history.table import HistoryTable, RowsRefused
from consumers.insight.fold.rules import Rules
from consumers.insight.late import late_marks
from tests.integration.insight.insight_history import adopt_at_once
from tests.integration.insight.insight_history import row as history_row

NOW = datetime.now(UTC).replace(microsecond=0)


def second(when):
    return int(when.timestamp())


def row(driver_id, age_s):
    return history_row(driver_id, NOW - timedelta(seconds=age_s), 53.4, -2.9)


async def marks_after(url, *batches, insight=True, followed=True):
    connection = await asyncpg.connect(url)
    if followed:
        await adopt_at_once(connection, Rules())
    await connection.close()
    table = HistoryTable(url, timeout_s=10, insight=insight)
    for rows, possibly_stored in batches:
        with contextlib.suppress(RowsRefused):
            await table.store(sorted(rows), possibly_stored=possibly_stored)
    await table.close()
    connection = await asyncpg.connect(url)
    marks = await connection.fetch("SELECT marks FROM insight_late ORDER BY id")
    unmarked = await connection.fetchval("SELECT unmarked FROM insight_settings")
    await connection.close()
    return [list(zip(*orjson.loads(mark[0]), strict=True)) for mark in marks], unmarked


def test_each_driver_is_marked_with_its_oldest_row():
    rows = [row("a", 50), row("a", 20), row("b", 4), row("c", 300), row("c", 1)]
    assert late_marks(rows, NOW - timedelta(seconds=10)) == (
        ["a", "c"],
        [second(NOW) - 50, second(NOW) - 300],
    )
    assert late_marks(rows, NOW - timedelta(seconds=900)) is None


def test_late_rows_are_marked_and_young_ones_are_not(database_url):
    """Younger than the lag less DATABASE_TIMEOUT_S: the follower reads them in their time."""
    old, young = row("a", 40), row("b", -3600)
    marks, unmarked = asyncio.run(marks_after(database_url, ([old, young], False), ([young], True)))
    assert marks == [[("a", second(old[1]))]]
    assert not unmarked


def test_what_may_be_stored_already_is_marked_all_the_same(database_url):
    """Its first try may have been cut off after the row and before anybody heard of it."""
    old = row("a", 40)
    marks, _ = asyncio.run(marks_after(database_url, ([old], False), ([old], True), ([old], False)))
    assert marks == [[("a", second(old[1]))]] * 3


def test_refused_rows_leave_no_mark(database_url):
    marks, _ = asyncio.run(marks_after(database_url, ([row("a\x00", 40)], False)))
    assert marks == []


def test_before_there_was_a_follower_nothing_is_late(database_url):
    """A system that never starts the role gathers no marks."""
    late = ([row("a", 40)], False)
    assert asyncio.run(marks_after(database_url, late, followed=False)) == ([], False)


def test_marks_that_nobody_takes_do_not_pile_up(database_url, monkeypatch):
    monkeypatch.setattr("consumers.insight.late.MARKS_WAITING_MAX", 3)
    batches = [([row("a", 40 + n)], False) for n in range(8)]
    marks, unmarked = asyncio.run(marks_after(database_url, *batches))
    assert (len(marks), unmarked) == (4, True)


def test_without_insight_it_is_noted_that_marks_are_missing(database_url):
    marks, unmarked = asyncio.run(marks_after(database_url, ([row("a", 40)], False), insight=False))
    assert (marks, unmarked) == ([], True)


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("DATABASE_TIMEOUT_S", "15", "DATABASE_TIMEOUT_S must be below 15 s"),
        ("HISTORY_RETENTION_DAYS", "30", "HISTORY_RETENTION_DAYS must be"),
    ],
)
def test_settings_that_would_lose_late_rows_stop_the_start(monkeypatch, name, value, line):
    monkeypatch.setenv("HEARTBEAT_TIMEOUT_S", "60")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as refused:
        load_settings()
    assert str(refused.value).startswith(line)
