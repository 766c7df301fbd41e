"""What the resources of orders share: the database first, then Redis, each answering for itself.

An order is stored when the database has it; that is the truth. Redis is told at once. If that
fails it is told by the keeper, within seconds of its return, so a client is not refused for it.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

import hiredis

from common.errors import Overloaded, PoisonEntry
from common.event import decode_event
from common.log import Repeated, get
from common.orders import store
from common.orders.book import Kept, OrderBook
from common.orders.order import Order, OrderUpdate
from common.orders.states import DeliveryState
from common.orders.store import Stored
from ingest.resources.histories import Histories
from ingest.resources.live_positions import LivePositions

# What a Redis that is away, or refuses, is told by.
REDIS_TROUBLE = (Overloaded, hiredis.ReplyError)
NOTHING_KEPT = Kept(None, ended=False, event=None, full=False)


class OrderDesk:
    """Reads and writes orders. Raises `Overloaded` when the database is needed and away."""

    def __init__(self, histories: Histories, book: OrderBook, live: LivePositions) -> None:
        self.histories = histories
        self.database = histories.home
        self._book = book
        self._live = live
        self._untold = Repeated(get("ingest"), "orders.untold")

    async def kept(self, order_id: str) -> Kept:
        """What Redis has of an order, its event if that is fresh; nothing while Redis is away."""
        try:
            kept = await self._book.read(order_id)
        except REDIS_TROUBLE:
            return NOTHING_KEPT
        event = kept.event
        if event is not None and (kept.ended or not self._live.is_fresh(event)):
            return kept._replace(event=None)
        return kept

    async def stored(self, order_id: str) -> Order | None:
        """An order as the database has it."""
        return await self.database.run(partial(store.read, order_id=order_id))

    async def put(self, order_id: str, update: OrderUpdate) -> Stored:
        """Register or change an order."""
        now = datetime.now(UTC)
        stored = await self.database.run(
            partial(store.put, order_id=order_id, update=update, now=now)
        )
        if stored.is_changed:
            await self._tell(stored.order)
        return stored

    async def move(self, order_id: str, state: DeliveryState) -> Order | None:
        """Bring an order into a state; None if it stays where it is."""
        order = await self.database.run(
            partial(store.move, order_id=order_id, state=state, at=datetime.now(UTC), cause="api")
        )
        if order is not None:
            await self._tell(order)
        return order

    async def complete(self, order_id: str) -> None:
        """End an order: in Redis, which is on disk then, and in the database if it answers.

        If it does not, the end is due there, and the keeper sees to it. Raises `Overloaded`,
        `hiredis.ReplyError` when Redis does not take the end; then nothing has ended.
        """
        now = datetime.now(UTC)
        if not await self._book.end(order_id, now):
            return
        delivered = partial(
            store.move, order_id=order_id, state=DeliveryState.DELIVERED, at=now, cause="api"
        )
        try:
            await self.database.run(delivered)
            await self._book.settled(order_id)
        except REDIS_TROUBLE as e:
            self._untold.failed(error=str(e))

    async def _tell(self, order: Order) -> None:
        try:
            await self._book.write([order], await self._positions(order))
            self._untold.healed()
        except REDIS_TROUBLE as e:
            self._untold.failed(error=str(e))

    async def _positions(self, order: Order) -> Mapping[str, bytes]:
        """The driver's newest event, where it names this order: its watchers begin with it."""
        if order.driver_id is None or order.is_over:
            return {}
        event: Any = await self._live.read(order.driver_id)
        try:
            named = event is not None and decode_event(event).order_id == order.order_id
        except PoisonEntry:
            named = False
        return {order.order_id: event} if named else {}
