"""Isolation: find the entries of a batch that the database refuses, and store the others.

PostgreSQL usually names the row (`COPY locations, line 4`): those before it are stored, the
search goes on behind it. Where it names none, the batch is halved until the offender stands
alone. Each row is sent at most twice per offender that is named.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from common.errors import ConfigError, SinkUnavailable
from consumers.history.row import Row

_LINE = re.compile(r"^COPY \w+, line (\d+)")

Store = Callable[[Sequence[Row]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that the database refused when it stood alone or was named, and why."""

    row: Row
    error: Exception


def line_of(error: Exception) -> int | None:
    """Index of the row that PostgreSQL names in an error's context, None if it names none."""
    match = _LINE.match(getattr(error, "context", None) or "")
    return int(match.group(1)) - 1 if match else None


async def store_others(store: Store, rows: Sequence[Row], error: Exception) -> list[Refused]:
    """Store all rows but the offenders, which are returned; `error` is what all rows gave.

    `store` raises `SinkUnavailable` (which passes through) or any other error for rows that are
    refused.
    """
    refused: list[Refused] = []
    parts = _split(rows, error, refused)
    while parts:
        part = parts.pop()
        try:
            await store(part)
        except Exception as e:
            if is_unavailable(e):
                raise
            parts += _split(part, e, refused)
    return refused


def is_unavailable(error: Exception) -> bool:
    """Whether `error` says nothing about the rows."""
    return isinstance(error, SinkUnavailable | ConfigError)


def _split(rows: Sequence[Row], error: Exception, refused: list[Refused]) -> list[Sequence[Row]]:
    """Parts of `rows` to try next; an offender that is found goes to `refused`."""
    line = line_of(error)
    if len(rows) == 1:
        line = 0
    if line is not None and line < len(rows):
        refused.append(Refused(rows[line], error))
        parts = [rows[line + 1 :], rows[:line]]
    else:
        middle = len(rows) // 2
        parts = [rows[middle:], rows[:middle]]
    return [part for part in parts if part]
