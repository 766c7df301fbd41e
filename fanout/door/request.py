"""What a handshake asks for, read from its target and headers. Pure.

Everything here comes from strangers: a value that does not fit is named in an `InvalidUpdate`,
which becomes a problem+json answer before any upgrade.
"""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from common.access import address
from common.access.policy import Action
from common.errors import Fault, InvalidUpdate
from common.ids import ID_DETAIL, is_id
from fanout.fleet.box import BoxSubscription, parse_subscription

ORDER_PREFIX: Final = "/api/v1/drivers/orders/"
ORDER_SUFFIX: Final = "/driver-location"
EVENTS_PATH: Final = "/api/v1/events/live"
FLEET_PATH: Final = "/api/v1/fleet/live"
LIVE_PATH: Final = "/health/live"
READY_PATH: Final = "/health/ready"
WEBSOCKET_VERSION: Final = "13"
# Bytes of a Sec-WebSocket-Key before base64 (RFC 6455 section 4.1).
KEY_BYTES: Final = 16

# Query parameters read; more are not looked at.
QUERY_FIELDS_MAX: Final = 16
# The subprotocol that is chosen when a client offers it (beside one that carries its token).
SUBPROTOCOL: Final = "fleetline.v1"


@dataclass(frozen=True, slots=True)
class OrderTarget:
    """A customer's socket."""

    order_id: str


@dataclass(frozen=True, slots=True)
class FleetTarget:
    """An operator's socket."""

    subscription: BoxSubscription


@dataclass(frozen=True, slots=True)
class EventsTarget:
    """A socket that is told what happens."""


@dataclass(frozen=True, slots=True)
class PageTarget:
    """A plain HTTP answer: one of the health paths."""

    path: str


SocketTarget = OrderTarget | FleetTarget | EventsTarget
_ACTIONS: Final[Mapping[type[SocketTarget], Action]] = {
    OrderTarget: Action.READ_ORDER,
    FleetTarget: Action.WATCH_FLEET,
    EventsTarget: Action.READ_EVENTS,
}
Target = SocketTarget | PageTarget | None


def split_target(target: str) -> tuple[str, dict[str, str]]:
    """Path and query of a request line's target. Raises `InvalidUpdate`.

    Slashes more than one at the beginning, or any at the end, say nothing.
    """
    try:
        if not target.startswith("/"):
            # The whole address may stand there (RFC 9112 section 3.2.2).
            target = urlsplit(target)._replace(scheme="", netloc="").geturl()
        path, _, query = target.partition("?")
        looked_at = "&".join(query.split("&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX])
        pairs = parse_qsl(looked_at, keep_blank_values=True)
    except ValueError as e:
        raise InvalidUpdate("the request target is not a URL") from e
    return "/" + path.strip("/"), dict(pairs)


def read_target(path: str, query: Mapping[str, str]) -> Target:
    """What is asked for; None for a path that is not ours. Raises `InvalidUpdate`."""
    if path.startswith(ORDER_PREFIX) and path.endswith(ORDER_SUFFIX):
        order_id = unquote(path[len(ORDER_PREFIX) : -len(ORDER_SUFFIX)])
        if not is_id(order_id):
            raise _fault("order_id", ID_DETAIL)
        return OrderTarget(order_id)
    if path == FLEET_PATH:
        return FleetTarget(parse_subscription(query.get("bbox"), query.get("n")))
    if path == EVENTS_PATH:
        return EventsTarget()
    if path in (LIVE_PATH, READY_PATH):
        return PageTarget(path)
    return None


def action_of(target: SocketTarget) -> Action:
    """What whoever asks for it must be allowed to do."""
    return _ACTIONS[type(target)]


def _fault(field: str, detail: str) -> InvalidUpdate:
    return InvalidUpdate(f"{field}: {detail}", faults=(Fault(field, detail),))


def client_address(
    peer: str, headers: Mapping[str, str], doors: address.FrontDoors = address.THIS_MACHINE
) -> str:
    """Whose connection counts."""
    return address.client_address(peer, headers.get("x-real-ip", ""), doors)


def wants_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether a WebSocket is asked for. Firefox sends `Connection: keep-alive, Upgrade`."""
    return "upgrade" in _tokens(headers, "connection") and "websocket" in _tokens(
        headers, "upgrade"
    )


def read_key(headers: Mapping[str, str]) -> str:
    """The Sec-WebSocket-Key. Raises `InvalidUpdate`."""
    key = headers.get("sec-websocket-key", "")
    try:
        if len(b64decode(key, validate=True)) == KEY_BYTES:
            return key
    except ValueError:
        pass
    raise InvalidUpdate("Sec-WebSocket-Key must be 16 bytes in base64", status=400)


def chosen_subprotocol(headers: Mapping[str, str]) -> str | None:
    """Our subprotocol if it is offered: a browser then expects it chosen."""
    offered = headers.get("sec-websocket-protocol", "").split(",")
    return SUBPROTOCOL if SUBPROTOCOL in (name.strip() for name in offered) else None


def _tokens(headers: Mapping[str, str], name: str) -> list[str]:
    return [token.strip().lower() for token in headers.get(name, "").split(",")]
