"""How many orders a driver may show. Pure.

A hostile driver could name another order with every fix, each of them a key of about 500 bytes
that lives for ORDER_TTL_S. Beyond the quota its fixes are stored and move the driver, and are not
shown as an order's.
"""

from collections import Counter

# A parcel van makes 200 to 250 stops a day, each of them an order.
NEW_ORDERS_MAX = 500
WINDOW_S = 86_400


class OrderQuota:
    """Counts the orders that are new in a window, by driver. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._until_s = 0.0
        # Fixes whose order was not shown.
        self.refused = 0

    def is_full(self, driver_id: str, now_s: float) -> bool:
        """Whether the driver has shown all that it may."""
        if now_s >= self._until_s:
            self._until_s = now_s + WINDOW_S
            self._counts.clear()
        if self._counts.get(driver_id, 0) < NEW_ORDERS_MAX:
            return False
        self.refused += 1
        return True

    def add(self, driver_id: str) -> None:
        """The driver shows an order that nobody has shown before."""
        self._counts[driver_id] += 1
