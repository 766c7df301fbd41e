"""The one policy: which role may do what, to whose driver or order. Pure data and one rule.

`allowed` takes an action and what it touches; its answer comes from a table that can be read and
tested row by row. What is not in the table is not allowed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final


class Role(StrEnum):
    """What a token or a key says its bearer is."""

    # A phone: sends fixes of its own driver, and reads them.
    DRIVER = "driver"
    # A backend: sends for any driver, registers, starts and ends orders.
    GATEWAY = "gateway"
    # A dispatcher: reads everything.
    OPERATOR = "operator"
    # A customer with a link: watches one order.
    TRACKER = "tracker"


class Action(StrEnum):
    """What can be asked for."""

    SEND_FIX = "send fixes of this driver"
    READ_DRIVER = "read this driver's positions"
    FIND_DRIVERS = "search drivers"
    READ_ORDER = "read or watch this order"
    LIST_ORDERS = "list orders"
    WRITE_ORDER = "register or change this order"
    START_ORDER = "make tracking links of this order"
    END_ORDER = "complete this order"
    WATCH_FLEET = "watch the fleet"
    READ_FLEET = "read the statistics of the fleet"
    MANAGE_WEBHOOKS = "make, change and read webhooks"
    PLAN = "plan routes"
    READ_EVENTS = "read or watch what happened"
    READ_FENCES = "read geofences and who is in them"
    WRITE_FENCES = "make, change or delete geofences"
    ASK_ROADS = "ask for travel times and ways"
    READ_HEALTH = "read the state of the system"


class Scope(Enum):
    """Whose driver or order a row is about."""

    ANY = "any"
    OWN_DRIVER = "own driver"
    OWN_ORDER = "own order"


Table = Mapping[Action, Mapping[Role, Scope]]

ALLOWED: Final[Table] = MappingProxyType(
    {
        Action.SEND_FIX: {Role.DRIVER: Scope.OWN_DRIVER, Role.GATEWAY: Scope.ANY},
        Action.READ_DRIVER: {Role.DRIVER: Scope.OWN_DRIVER, Role.OPERATOR: Scope.ANY},
        Action.FIND_DRIVERS: {Role.OPERATOR: Scope.ANY},
        Action.READ_ORDER: {
            Role.GATEWAY: Scope.ANY,
            Role.OPERATOR: Scope.ANY,
            Role.TRACKER: Scope.OWN_ORDER,
        },
        Action.LIST_ORDERS: {Role.OPERATOR: Scope.ANY},
        Action.WRITE_ORDER: {Role.GATEWAY: Scope.ANY},
        Action.START_ORDER: {Role.GATEWAY: Scope.ANY},
        Action.END_ORDER: {Role.GATEWAY: Scope.ANY},
        Action.WATCH_FLEET: {Role.OPERATOR: Scope.ANY},
        Action.READ_FLEET: {Role.OPERATOR: Scope.ANY},
        Action.PLAN: {Role.OPERATOR: Scope.ANY},
        Action.MANAGE_WEBHOOKS: {Role.GATEWAY: Scope.ANY, Role.OPERATOR: Scope.ANY},
        Action.READ_EVENTS: {Role.GATEWAY: Scope.ANY, Role.OPERATOR: Scope.ANY},
        Action.READ_FENCES: {Role.GATEWAY: Scope.ANY, Role.OPERATOR: Scope.ANY},
        Action.WRITE_FENCES: {Role.GATEWAY: Scope.ANY, Role.OPERATOR: Scope.ANY},
        Action.ASK_ROADS: {Role.GATEWAY: Scope.ANY, Role.OPERATOR: Scope.ANY},
        Action.READ_HEALTH: {Role.OPERATOR: Scope.ANY},
    }
)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as a verified token or key says it. Times are epoch seconds."""

    role: Role
    subject: str
    driver_id: str | None = None
    order_id: str | None = None
    expires_at: float = float("inf")
    issued_at: float = 0.0
    # Of a token: its `jti`. Of a key: the id that stands in it.
    token_id: str = ""
    key_id: str = ""


def allowed(
    principal: Principal,
    action: Action,
    *,
    driver_id: str | None = None,
    order_id: str | None = None,
) -> bool:
    """Whether `principal` may do `action` to this driver or order."""
    scope = ALLOWED[action].get(principal.role)
    if scope is Scope.ANY:
        return True
    if scope is Scope.OWN_DRIVER:
        return driver_id is not None and driver_id == principal.driver_id
    if scope is Scope.OWN_ORDER:
        return order_id is not None and order_id == principal.order_id
    return False
