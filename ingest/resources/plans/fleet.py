"""What a plan needs to know of the fleet: live positions, whose orders are, and how fast it is."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from common.errors import PoisonEntry
from common.event import decode_event
from common.keys import order_book_key, order_bucket
from common.orders.book import order_in
from common.orders.states import DeliveryState
from common.plans.messages import DriverOfOrder, LookedUp, LookUp
from common.redis.nodes import Nodes
from common.roads.travel import PaceSource
from ingest.resources.live_positions import LivePositions

ABOARD = {DeliveryState.PICKED_UP, DeliveryState.ARRIVING}


class FleetLookUp:
    """Answers the planner. Raises `Overloaded`, `hiredis.ReplyError`."""

    def __init__(self, nodes: Nodes, live: LivePositions, paces: PaceSource) -> None:
        self._nodes = nodes
        self._live = live
        self._paces = paces

    async def look_up(self, question: LookUp) -> LookedUp:
        """All of it at once."""
        positions, orders = await asyncio.gather(
            self._positions(question.drivers), self._orders(question.orders)
        )
        fit = None
        if question.vehicle is not None:
            fit = (await self._paces.pace(question.vehicle)).fit
        return LookedUp(positions, orders, fit)

    async def _positions(self, drivers: Sequence[str]) -> dict[str, tuple[float, float]]:
        events = await asyncio.gather(*(self._live.read(driver) for driver in drivers))
        positions = {}
        for driver, data in zip(drivers, events, strict=True):
            try:
                event = None if data is None else decode_event(data)
            except PoisonEntry:
                event = None
            if event is not None:
                positions[driver] = (event.latitude, event.longitude)
        return positions

    async def _orders(self, order_ids: Sequence[str]) -> dict[str, DriverOfOrder]:
        """Those that are active and have a driver. A bucket's are one command."""
        by_bucket: dict[int, list[str]] = defaultdict(list)
        for order_id in order_ids:
            by_bucket[order_bucket(order_id)].append(order_id)
        parts = await asyncio.gather(
            *(self._of_bucket(bucket, ids) for bucket, ids in by_bucket.items())
        )
        return {order_id: order for part in parts for order_id, order in part.items()}

    async def _of_bucket(self, bucket: int, order_ids: list[str]) -> dict[str, DriverOfOrder]:
        wire = self._nodes.order_wire(order_ids[0])
        values = await wire.send("HMGET", order_book_key(bucket), *order_ids)
        found = {}
        for order_id, value in zip(order_ids, values, strict=True):
            order = order_in(value)
            if order is not None and order.driver_id is not None:
                found[order_id] = DriverOfOrder(order.driver_id, order.state in ABOARD)
        return found
