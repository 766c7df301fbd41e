"""What a host says of itself in Redis, for the others and for people."""

from collections.abc import Iterable

import msgspec

from common.event import MALFORMED
from consumers.sharing.facts import HostTerms
from consumers.stream.holder import Holder

# What is said of a host fits in this: a list of all shards that there may be, and its names.
SAID_BYTES_MAX = 16_384


class HostRecord(msgspec.Struct, frozen=True):
    """`agent` is the process that speaks for the host. `only`: the shards it may run; None: all."""

    agent: str
    only: list[int] | None = None


_decode = msgspec.json.Decoder(HostRecord).decode


def encode_record(agent: Holder, only: Iterable[int] | None) -> bytes:
    """The bytes of a record."""
    return msgspec.json.encode(HostRecord(str(agent), sorted(only) if only is not None else None))


def read_terms(said: bytes, *, drained: bool) -> tuple[HostTerms, Holder | None]:
    """A host's terms and its agent, where that can be read: else it may run everything."""
    try:
        record = _decode(said[:SAID_BYTES_MAX])
    except MALFORMED:
        return HostTerms(drained=drained), None
    only = frozenset(record.only) if record.only is not None else None
    return HostTerms(only, drained), Holder.parse(record.agent)
