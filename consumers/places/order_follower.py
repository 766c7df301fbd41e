"""The orders that are not over and have a driver, as the database has them, in memory.

All are read when the connection is new; after that the database says which ones have changed
(channel `fleetline_orders`, by triggers on the table), with the commit that changed them.
"""

from collections.abc import Iterable

import asyncpg

from common.orders.order import Order
from common.orders.row import order_of
from common.orders.store import SELECT
from consumers.places.rules.engine import OrdersOf

CHANNEL = "fleetline_orders"
# Orders read at once.
PAGE = 5_000

_ACTIVE = f"{SELECT} WHERE delivered_at IS NULL AND cancelled_at IS NULL AND driver_id IS NOT NULL"
_NAMED = f"{SELECT} WHERE order_id = ANY($1::text[])"


class OrderFollower:
    """Knows whose order is whose. `orders` is the engine's to change: what it moves comes back as
    a change like any other.
    """

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.orders: OrdersOf = {}
        # The driver of each order in `orders`.
        self._drivers: dict[str, str] = {}
        # Orders that have changed; named twice they are read once.
        self._changed: dict[str, None] = {}

    async def start(self) -> None:
        """Read all. What changes meanwhile is read again."""
        await self._connection.add_listener(CHANNEL, self._heard)
        async with self._connection.transaction():
            rows = await self._connection.cursor(_ACTIVE)
            while page := await rows.fetch(PAGE):
                self._put(map(order_of, page))

    async def refresh(self) -> None:
        """Read the orders that have changed."""
        while self._changed:
            named = list(self._changed)[:PAGE]
            for order_id in named:
                del self._changed[order_id]
            rows = await self._connection.fetch(_NAMED, named)
            self._put(map(order_of, rows))

    def _heard(self, _connection: object, _pid: int, _channel: str, order_id: object) -> None:
        self._changed[str(order_id)] = None

    def _put(self, orders: Iterable[Order]) -> None:
        for order in orders:
            order_id, driver_id = order.order_id, order.driver_id
            before = self._drivers.pop(order_id, None)
            if before is not None and before != driver_id:
                self._drop(order_id, before)
            if driver_id is None or order.is_over:
                if before == driver_id and before is not None:
                    self._drop(order_id, before)
                continue
            others = [o for o in self.orders.get(driver_id, ()) if o.order_id != order_id]
            self.orders[driver_id] = (*others, order)
            self._drivers[order_id] = driver_id

    def _drop(self, order_id: str, driver_id: str) -> None:
        left = tuple(o for o in self.orders.get(driver_id, ()) if o.order_id != order_id)
        if left:
            self.orders[driver_id] = left
        else:
            self.orders.pop(driver_id, None)
