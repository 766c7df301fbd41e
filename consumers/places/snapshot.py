"""What is known of the drivers of one shard, as bytes: a snapshot, and changes since. Pure.

A snapshot is the change from nothing, so one form does for both. MessagePack, whose times are
exact to the nanosecond.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import TypeVar

import msgspec

from consumers.places.rules.engine import ShardChange, ShardDrivers
from consumers.places.rules.presence import Presence

V = TypeVar("V")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ShardChange).decode

NOTHING = _encode(ShardChange({}, {}))


def encode_change(change: ShardChange) -> bytes:
    """What changed in one turn."""
    return _encode(change)


def encode_state(state: ShardDrivers) -> bytes:
    """All of it."""
    return _encode((state.presence.newest, state.ends))


def load_state(rows: Iterable[bytes], ttl: timedelta) -> ShardDrivers:
    """The state that a snapshot and the changes since make, in their order.

    Raises `msgspec.DecodeError` for what is neither.
    """
    state = ShardDrivers(Presence(ttl))
    for row in rows:
        change = _decode(row)
        _update(state.presence.newest, change.seen)
        _update(state.ends, change.ends)
    return state


def _update(known: dict[str, V], changes: dict[str, V | None]) -> None:
    for name, value in changes.items():
        if value is None:
            known.pop(name, None)
        else:
            known[name] = value
