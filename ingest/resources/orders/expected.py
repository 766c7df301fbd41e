"""When an order arrives, for who asks: what the role has said last, else the fallback.

While the role that follows orders works, Redis has its last word, a few seconds old. When it does
not, that word stands for a while, with its age; then the way is estimated here, without roads.
"""

from datetime import UTC, datetime, timedelta

import hiredis

from common.arrivals.arrival import Arrival, aged, arrival_of, decode_arrival
from common.arrivals.outlook import rest_by_pace, stops_of
from common.errors import Overloaded, PoisonEntry
from common.event import LocationEvent, decode_event, effective_time
from common.orders.book import Kept
from common.orders.order import Order
from common.roads.pace_store import PaceStore
from ingest.resources.live_positions import LivePositions

# The role says something every few seconds. What is older than this is no better than the fallback,
# which knows where the driver is now.
SAID_MAX = timedelta(seconds=60)


class ExpectedArrivals:
    """Knows no rules of its own: see `common.arrivals`."""

    def __init__(self, live: LivePositions, paces: PaceStore) -> None:
        self._live = live
        self._paces = paces

    async def of(self, order: Order, kept: Kept) -> Arrival | None:
        """The arrival of an order; None where nothing is known: no drop-off, or no position."""
        stops = stops_of(order)
        if not stops or kept.ended:
            return None
        now = datetime.now(UTC)
        said = decode_arrival(kept.arrival)
        is_drivers = said is not None and order.driver_id in {None, said.driver_id}
        if said is not None and is_drivers and now - said.computed_at <= SAID_MAX:
            return aged(said, now)
        fix = await self._fix(order, kept)
        if fix is None:
            return None
        pace = await self._paces.pace(order.vehicle)
        rest = rest_by_pace((fix.latitude, fix.longitude), stops, pace)
        return arrival_of(order.order_id, fix.driver_id, rest, effective_time(fix)[0], now)

    async def _fix(self, order: Order, kept: Kept) -> LocationEvent | None:
        """Where its driver is; of an order that names none, who was shown last."""
        try:
            event = kept.event
            if order.driver_id is not None:
                event = await self._live.read(order.driver_id)
            return None if event is None else decode_event(event)
        except (Overloaded, hiredis.ReplyError, PoisonEntry):
            return None
