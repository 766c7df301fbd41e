"""Moves: what a batch changes on the map, as Redis commands. Pure.

A move is the newest event of a driver; an order's move is the newest event that carries it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from common.event import EPOCH, effective_time
from common.keys import ShardKeys, order_key
from common.redis.wire import Argument, Command
from consumers.live.newest import Newest
from consumers.stream.entry import Entry

# Web Mercator's limit, which Redis' geo index shares: GEOADD refuses latitudes beyond it.
# https://valkey.io/commands/geoadd/
GEO_LATITUDE_MAX = 85.05112878

# A phone that is online delivers a fix sooner than this; a queue that was offline does not.
LATE_AFTER = timedelta(seconds=2)


def driver_moves(entries: Iterable[Entry], newest: Newest) -> dict[str, Entry]:
    """Driver → the entry that moves it, for the drivers that are moved at all."""
    moves: dict[str, Entry] = {}
    for entry in entries:
        event = entry.event
        if newest.advance(event.driver_id, effective_time(event)):
            moves[event.driver_id] = entry
    return moves


def order_moves(entries: Iterable[Entry], newest: Newest) -> dict[str, Entry]:
    """Order → the entry that its customers get next."""
    moves: dict[str, Entry] = {}
    for entry in entries:
        order_id = entry.event.order_id
        if order_id is not None and newest.advance(order_id, effective_time(entry.event)):
            moves[order_id] = entry
    return moves


def state_commands(moves: Mapping[str, Entry], keys: ShardKeys) -> list[Command]:
    """Commands that write drivers' moves: geo index, newest event, received time."""
    if not moves:
        return []
    geo: list[Argument] = ["GEOADD", keys.geo]
    outside: list[Argument] = ["ZREM", keys.geo]
    live: list[Argument] = ["HSET", keys.live]
    seen: list[Argument] = ["ZADD", keys.seen]
    for driver_id, entry in moves.items():
        event = entry.event
        if -GEO_LATITUDE_MAX <= event.latitude <= GEO_LATITUDE_MAX:
            geo += (event.longitude, event.latitude, driver_id)
        else:
            outside.append(driver_id)
        live += (driver_id, entry.payload)
        seen += (epoch_ms(event.received_at), driver_id)
    commands = [tuple(geo), tuple(outside), tuple(live), tuple(seen)]
    return [command for command in commands if len(command) > 2]


def order_commands(moves: Mapping[str, Entry], ttl_s: int) -> list[Command]:
    """Commands that write orders' newest events for customers who connect later."""
    return [
        ("SET", order_key(order_id), entry.payload, "EX", ttl_s)
        for order_id, entry in moves.items()
    ]


def publish_commands(moves: Mapping[str, Entry]) -> list[Command]:
    """Commands that tell the fan-out. An order's value must be set before: whoever subscribes
    and then reads the value misses nothing.
    """
    return [("PUBLISH", order_key(order_id), entry.payload) for order_id, entry in moves.items()]


def fleet_message(moves: Mapping[str, Entry]) -> bytes:
    """One message for operators' maps: a JSON array of the events that moved a driver."""
    return b"[" + b",".join(entry.payload for entry in moves.values()) + b"]"


def late_orders(entries: Iterable[Entry]) -> list[str]:
    """Orders of events that came `LATE_AFTER` or more after they were recorded, each once."""
    return list(
        {
            entry.event.order_id: None
            for entry in entries
            if entry.event.order_id is not None
            and entry.event.received_at - entry.event.recorded_at >= LATE_AFTER
        }
    )


def drop_oldest(moves: dict[str, Entry], most: int) -> None:
    """Forget the moves that wait longest, down to `most`: each is replaced by the next fix."""
    for name in list(moves)[: max(0, len(moves) - most)]:
        del moves[name]


def epoch_ms(when: datetime) -> int:
    """Milliseconds since 1970."""
    return int((when - EPOCH).total_seconds() * 1000)
