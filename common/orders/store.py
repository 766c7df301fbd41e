"""Orders in the database: each change with what it makes happen, in one transaction, once.

The table is the truth. Whoever changed an order tells Redis afterwards (`common.orders.book`); who
dies in between is made good by `common.orders.keeper`, because the row says that it is untold.

Transactions that make something happen take the lock of the events first and rows after it, so no
two of them wait for each other. Raises what asyncpg raises.
"""

from datetime import datetime
from typing import NamedTuple

import asyncpg
import msgspec

from common.events.happening import Happening, HappeningType
from common.events.record import lock, record
from common.orders.order import Order, OrderUpdate, changed, moved, registered
from common.orders.row import COLUMNS, order_of, row_of
from common.orders.states import DeliveryState

_NAMES = ", ".join(COLUMNS)
_VALUES = ", ".join(f"${n}" for n in range(1, len(COLUMNS) + 1))
SELECT = f"SELECT {_NAMES} FROM orders"  # noqa: S608
_INSERT = f"INSERT INTO orders ({_NAMES}) VALUES ({_VALUES}) ON CONFLICT DO NOTHING"  # noqa: S608
_UPDATE = (
    f"UPDATE orders SET ({_NAMES}) = ROW ({_VALUES}), told = false,"  # noqa: S608
    f" closing = closing OR ${len(COLUMNS) + 1} WHERE order_id = $1"
)
_DRIVER = """
INSERT INTO order_drivers (order_id, since, driver_id) VALUES ($1, $2, $3)
ON CONFLICT (order_id, since) DO UPDATE SET driver_id = excluded.driver_id
"""


class Stored(NamedTuple):
    """An order as it is stored now, and what became of it: new, changed, or the same as before."""

    order: Order
    is_new: bool
    is_changed: bool


async def read(connection: asyncpg.Connection, order_id: str) -> Order | None:
    """The order, or None."""
    row = await connection.fetchrow(f"{SELECT} WHERE order_id = $1", order_id)
    return None if row is None else order_of(row)


async def put(
    connection: asyncpg.Connection, order_id: str, update: OrderUpdate, now: datetime
) -> Stored:
    """Register the order, or change what `update` says. One that is over stays as it is."""
    async with connection.transaction():
        if update.driver_id:
            await lock(connection)
        before = await _locked(connection, order_id)
        if before is None:
            order = registered(order_id, update, now)
            if await connection.execute(_INSERT, *row_of(order)) == "INSERT 0 1":
                await _note_driver(connection, None, order)
                return Stored(order, is_new=True, is_changed=True)
            before = await _locked(connection, order_id)
            if before is None:
                raise asyncpg.InterfaceError("an order was there and is not")
        # Of two at once the later transaction has the later time.
        after = changed(before, update, max(now, before.updated_at))
        if after is None or before.is_over:
            return Stored(before, is_new=False, is_changed=False)
        await _write(connection, after)
        await _note_driver(connection, before, after)
        return Stored(after, is_new=False, is_changed=True)


async def move(
    connection: asyncpg.Connection,
    order_id: str,
    state: DeliveryState,
    at: datetime,
    *,
    cause: str,
    recorded_at: datetime | None = None,
    found_at: datetime | None = None,
) -> Order | None:
    """Bring the order into `state` as of `at`, with its happening; the order as it is then.

    None: there is no such order, or it is there, past it or over. `cause` is a word for the
    happening's data (`fence`, `api`); `recorded_at` is of the fix that caused it, `found_at` when
    that was found out (default: `at`). Whoever calls it tells Redis of the order after the commit:
    `OrderBook.write`.
    """
    async with connection.transaction():
        await lock(connection)
        before = await _locked(connection, order_id)
        after = None if before is None else moved(before, state, at)
        if before is None or after is None:
            return None
        now = max(found_at or at, before.updated_at)
        after = msgspec.structs.replace(after, version=after.version + 1, updated_at=now)
        await _write(connection, after)
        await record(connection, [happening_of_state(after, now, cause, recorded_at)])
        return after


async def _locked(connection: asyncpg.Connection, order_id: str) -> Order | None:
    row = await connection.fetchrow(f"{SELECT} WHERE order_id = $1 FOR UPDATE", order_id)
    return None if row is None else order_of(row)


async def _write(connection: asyncpg.Connection, order: Order) -> None:
    await connection.execute(_UPDATE, *row_of(order), order.is_over)


async def _note_driver(connection: asyncpg.Connection, before: Order | None, after: Order) -> None:
    """Keep who drives from now on; a driver's name is a happening each time."""
    previous = before and before.driver_id
    if after.driver_id == previous:
        return
    now = after.updated_at
    await connection.execute(_DRIVER, after.order_id, now, after.driver_id)
    if after.driver_id is not None:
        data = {"cause": "api", "state": after.state.value, "previous_driver_id": previous}
        happening = Happening(
            type=HappeningType.ORDER_ASSIGNED,
            driver_id=after.driver_id,
            order_id=after.order_id,
            at=now,
            data=data,
            key=f"version {after.version}",
        )
        await record(connection, [happening])


def happening_of_state(
    order: Order, at: datetime, cause: str, recorded_at: datetime | None
) -> Happening:
    """What it is that an order came into its state; the same whoever finds it out."""
    promised, over = order.promised_at, order.times.over
    data: dict[str, object] = {"cause": cause}
    if over is not None and promised is not None:
        data["late_s"] = (over - promised).total_seconds()
    return Happening(
        type=HappeningType(f"order.{order.state.value}"),
        driver_id=order.driver_id,
        order_id=order.order_id,
        at=at,
        recorded_at=recorded_at,
        data=data,
        key="state",
    )
