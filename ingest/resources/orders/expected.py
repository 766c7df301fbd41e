"""When an order arrives, for who asks: what the role has said last, else the fallback.

While the role that follows orders works, Redis has its last word, a few seconds old. When it does
not, that word stands for a while, with its age; then the way is estimated here, without roads.
"""

from datetime import UTC, datetime, timedelta

import hiredis

from common.arrivals.arrival import Arrival, aged, arrival_of, decode_arrival
from common.arrivals.outlook import rest_by_pace, stops_of
from common.errors import Overloaded, PoisonEntry
from common.event import decode_event, effective_time
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
        stops, driver_id = stops_of(order), order.driver_id
        if not stops or driver_id is None or kept.ended:
            return None
        now = datetime.now(UTC)
        said = decode_arrival(kept.arrival)
        if said is not None and said.driver_id != driver_id:
            said = None
        if said is not None and now - said.computed_at <= SAID_MAX:
            return aged(said, now)
        try:
            event = await self._live.read(driver_id)
            fix = None if event is None else decode_event(event)
        except (Overloaded, hiredis.ReplyError, PoisonEntry):
            fix = None
        if fix is None:
            return None
        pace = await self._paces.pace(order.vehicle)
        rest = rest_by_pace((fix.latitude, fix.longitude), stops, pace)
        return arrival_of(order.order_id, driver_id, rest, effective_time(fix)[0], now)
