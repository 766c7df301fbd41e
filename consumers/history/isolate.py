"""Isolation: find the rows of a batch that the database refuses, and store the others.

PostgreSQL usually names the row (`COPY locations, line 4`): those before it are stored, the
search goes on behind it. Where it names none, the batch is halved until the offender stands
alone. Each row is sent at most twice per offender that is named.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from consumers.history.row import Row
from consumers.history.table import RowsRefused

# Where a trigger refused a row, the lines of its functions stand before.
_LINE = re.compile(r"^COPY \w+, line (\d+)", re.MULTILINE)

Store = Callable[[Sequence[Row]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A row that the database refused when it stood alone or was named, and why."""

    row: Row
    error: Exception


def line_of(error: Exception) -> int | None:
    """Index of the row that PostgreSQL names in an error's context, None if it names none."""
    match = _LINE.search(getattr(error, "context", None) or "")
    return int(match.group(1)) - 1 if match else None


async def store_others(store: Store, rows: Sequence[Row], error: Exception) -> list[RefusedRow]:
    """Store all rows but the offenders, which are returned; `error` is what all rows gave.

    `store` raises `RowsRefused` for rows that are refused; anything else passes through.
    """
    refused: list[RefusedRow] = []
    parts = _split(rows, error, refused)
    while parts:
        part = parts.pop()
        try:
            await store(part)
        except RowsRefused as e:
            parts += _split(part, e.error, refused)
    return refused


def _split(rows: Sequence[Row], error: Exception, refused: list[RefusedRow]) -> list[Sequence[Row]]:
    """Parts of `rows` to try next; an offender that is found goes to `refused`."""
    line = line_of(error)
    if len(rows) == 1:
        line = 0
    if line is not None and line < len(rows):
        refused.append(RefusedRow(rows[line], error))
        parts = [rows[line + 1 :], rows[:line]]
    else:
        middle = len(rows) // 2
        parts = [rows[middle:], rows[:middle]]
    return [part for part in parts if part]
