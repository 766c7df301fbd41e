"""What the share agent tells its supervisor: the shards that are to run. Imports no Redis."""

import msgspec

from common.event import MALFORMED


class RunShards(msgspec.Struct, frozen=True):
    """The whole of what is to run on this host."""

    run: list[int]


_decode = msgspec.json.Decoder(RunShards).decode


def encode_orders(shards: frozenset[int]) -> bytes:
    """The message."""
    return msgspec.json.encode(RunShards(sorted(shards)))


def read_orders(message: bytes) -> frozenset[int] | None:
    """The shards; None for a message about something else."""
    try:
        return frozenset(_decode(message).run)
    except MALFORMED:
        return None
