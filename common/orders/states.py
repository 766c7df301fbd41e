"""The states of an order, and the one rule about them: they never go back. Pure."""

from enum import StrEnum
from typing import Final


class DeliveryState(StrEnum):
    """How far an order is; the values are public."""

    NEW = "new"
    ASSIGNED = "assigned"
    AT_PICKUP = "at_pickup"
    PICKED_UP = "picked_up"
    ARRIVING = "arriving"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


# The order in which they follow each other; an order may be cancelled in any of them but the last.
WAY: Final = tuple(state for state in DeliveryState if state is not DeliveryState.CANCELLED)
OVER: Final = frozenset({DeliveryState.DELIVERED, DeliveryState.CANCELLED})


def advance(state: DeliveryState, wanted: DeliveryState) -> DeliveryState | None:
    """`wanted` if an order in `state` may go there, else None: it is there, past it, or over.

    States in between may be left out: a courier's phone was off at the pick-up.
    """
    if state in OVER:
        return None
    if wanted is DeliveryState.CANCELLED or WAY.index(wanted) > WAY.index(state):
        return wanted
    return None
