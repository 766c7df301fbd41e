"""Moves: what a page changes on the map, as Redis commands. Pure.

A move is the newest event of a driver; an order's move is the newest event that carries it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import hiredis

from common.errors import PoisonEntry
from common.event import EPOCH, effective_time, moment_of
from common.keys import ShardKeys
from common.redis.wire import Argument, Command, Reply
from consumers.live.newest import Newest, Time
from consumers.stream.entry import PlacedEvent

Moves = dict[str, PlacedEvent]

# Web Mercator's limit, which Redis' geo index shares: GEOADD refuses latitudes beyond it.
# https://valkey.io/commands/geoadd/
GEO_LATITUDE_MAX = 85.05112878

# Drivers in one command: one with more would hold up Redis for milliseconds.
MEMBERS_MAX = 1000

# A phone that is online delivers a fix sooner than this; a queue that was offline does not.
LATE_AFTER = timedelta(seconds=2)


def driver_moves(events: Iterable[PlacedEvent], newest: Newest, oldest: datetime) -> Moves:
    """Driver → the event that moves it, for the drivers that are moved at all.

    An event whose effective time lies before `oldest` moves nobody: old is not live, however
    late it was delivered.
    """
    moves: Moves = {}
    for placed in events:
        event = placed.event
        time = effective_time(event)
        if newest.advance(event.driver_id, time) and time[0] >= oldest:
            moves[event.driver_id] = placed
    return moves


def order_moves(
    events: Iterable[PlacedEvent],
    newest: Newest,
    refused: Collection[str] = (),
    only: Mapping[str, str] = MappingProxyType({}),
) -> Moves:
    """Order → the event that its customers get next; none for `refused` orders.

    `only`: order → the driver whose events alone are shown, for orders that have one.
    """
    moves: Moves = {}
    for placed in events:
        event = placed.event
        order_id = event.order_id
        if order_id is None or (refused and order_id in refused):
            continue
        if only and only.get(order_id, event.driver_id) != event.driver_id:
            continue
        if newest.advance(order_id, effective_time(event)):
            moves[order_id] = placed
    return moves


def state_commands(moves: Mapping[str, PlacedEvent], keys: ShardKeys) -> list[Command]:
    """Commands that write drivers' moves: geo index, newest event, effective time."""
    items = list(moves.items())
    return [
        command
        for start in range(0, len(items), MEMBERS_MAX)
        for command in _state_commands(items[start : start + MEMBERS_MAX], keys)
    ]


def _state_commands(moves: Iterable[tuple[str, PlacedEvent]], keys: ShardKeys) -> list[Command]:
    geo: list[Argument] = ["GEOADD", keys.geo]
    outside: list[Argument] = ["ZREM", keys.geo]
    live: list[Argument] = ["HSET", keys.live]
    seen: list[Argument] = ["ZADD", keys.seen]
    for driver_id, placed in moves:
        event = placed.event
        if -GEO_LATITUDE_MAX <= event.latitude <= GEO_LATITUDE_MAX:
            geo += (event.longitude, event.latitude, driver_id)
        else:
            outside.append(driver_id)
        live += (driver_id, placed.payload)
        seen += (epoch_ms(effective_time(event)[0]), driver_id)
    commands = [tuple(geo), tuple(outside), tuple(live), tuple(seen)]
    return [command for command in commands if len(command) > 2]


def fleet_message(moves: Mapping[str, PlacedEvent]) -> bytes:
    """One message for operators' maps: a JSON array of the events that moved a driver."""
    return b"[" + b",".join(placed.payload for placed in moves.values()) + b"]"


def late_orders(events: Iterable[PlacedEvent]) -> list[str]:
    """Orders of events that came `LATE_AFTER` or more after they were recorded, each once."""
    return list(
        {
            placed.event.order_id: None
            for placed in events
            if placed.event.order_id is not None
            and placed.event.received_at - placed.event.recorded_at >= LATE_AFTER
        }
    )


def drop_oldest(moves: Moves, most: int) -> None:
    """Forget the moves that wait longest, down to `most`: each is replaced by the next fix."""
    for name in list(moves)[: max(0, len(moves) - most)]:
        del moves[name]


def is_same_driver(event: bytes, other: bytes) -> bool:
    """Whether two events' bytes are of one driver: an encoded event begins with its driver."""
    end = other.find(b'",')
    return end > 0 and event.startswith(other[: end + 2])


def time_of(value: bytes | None) -> Time | None:
    """`effective_time` of an event's bytes; None when there are none, or they are no event."""
    if value is None:
        return None
    try:
        return moment_of(value)
    except PoisonEntry:
        # Somebody wrote the key by hand: the next event replaces it.
        return None


def epoch_ms(when: datetime) -> int:
    """Milliseconds since 1970."""
    return int((when - EPOCH).total_seconds() * 1000)


def value_in(reply: Reply) -> bytes | None:
    """The value in a reply to GET; a key that somebody made by hand, of another kind, has none."""
    if isinstance(reply, hiredis.ReplyError):
        if not str(reply).startswith("WRONGTYPE"):
            raise reply
        return None
    value: bytes | None = reply
    return value
