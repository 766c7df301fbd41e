"""Which fixes of the history are an order's: those of its drivers, each in its time.

Fixes that name the order are; where a driver's do not (a phone that knows of no orders), all that
it sent between its assignment and the end are.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from common.orders.order import Order

# A courier may be under way, and name the order, before the order is registered.
BEFORE = timedelta(hours=12)
# Fixes of a journey that are read: ten hours at 1 Hz.
FIXES_MAX = 36_000
# Fixes of one question.
PAGE_FIXES = 500

DRIVERS = "SELECT since, driver_id FROM order_drivers WHERE order_id = $1 ORDER BY since"
_NAMED = """
SELECT EXISTS (
    SELECT FROM locations
    WHERE driver_id = $1 AND recorded_at >= $2 AND recorded_at < $3 AND order_id = $4
)
"""
_PAGE = """
SELECT {columns} FROM locations
WHERE driver_id = $1 AND recorded_at > $2 AND recorded_at < $3
  AND ($4::text IS NULL OR order_id = $4)
ORDER BY recorded_at LIMIT $5
"""

# Rows as asyncpg gives them: values by column name, or in order.
Rows = Sequence[Any]
Fetch = Callable[..., Awaitable[Any]]


class DriverSpan(NamedTuple):
    """A driver's time with an order, from when it was assigned until the next one was, or the end.

    `earliest`: fixes that name the order count from here on.
    """

    driver_id: str
    earliest: datetime
    since: datetime
    until: datetime


def spans(order: Order, drivers: Rows, now: datetime) -> list[DriverSpan]:
    """Who had the order when; `drivers` are rows of DRIVERS."""
    end = order.times.over or now
    found = []
    for place, row in enumerate(drivers):
        until = drivers[place + 1]["since"] if place + 1 < len(drivers) else end
        until, since = min(until, end), row["since"]
        if row["driver_id"] is not None and since < until:
            earliest = since if place else since - BEFORE
            found.append(DriverSpan(row["driver_id"], earliest, since, until))
    return found


class JourneyReader:
    """Reads an order's fixes, oldest first, a page at a time. `fetch` is asyncpg's."""

    def __init__(self, fetch: Fetch, order_id: str, columns: Sequence[str]) -> None:
        self._fetch = fetch
        self._order_id = order_id
        self._page = _PAGE.format(columns=", ".join(columns))
        self._left = FIXES_MAX

    async def first(
        self, span: DriverSpan, *, named_only: bool = False
    ) -> tuple[datetime, str | None]:
        """From when on the fixes of a span count, and the order that they must name, if any."""
        if named_only:
            return span.earliest, self._order_id
        asked = (span.driver_id, span.earliest, span.until, self._order_id)
        [row] = await self._fetch(_NAMED, *asked)
        return (span.earliest, self._order_id) if row[0] else (span.since, None)

    async def page(self, span: DriverSpan, after: datetime, named: str | None) -> Rows:
        """The next fixes of a span; fewer than PAGE_FIXES when there are no more."""
        wanted = min(PAGE_FIXES, self._left)
        rows: Rows = await self._fetch(self._page, span.driver_id, after, span.until, named, wanted)
        self._left -= len(rows)
        return rows

    @property
    def is_full(self) -> bool:
        """Whether as many were read as may be."""
        return self._left <= 0
