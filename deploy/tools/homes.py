"""Where the events of an entry belong. Pure."""

from common.errors import PoisonEntry
from common.event import decode_event
from common.shards import Shard, Shards
from common.stream.pack import split_pack


def events_by_shard(payload: bytes, shards: Shards) -> dict[Shard, list[bytes]]:
    """The events of a payload by the shards of their drivers; none where it holds no event.

    A line of a pack that is no event goes along with the others.
    """
    found: dict[Shard, list[bytes]] = {}
    unreadable: list[bytes] = []
    for line in split_pack(payload):
        try:
            shard = shards.of(decode_event(line).driver_id)
        except PoisonEntry:
            unreadable.append(line)
        else:
            found.setdefault(shard, []).append(line)
    if found:
        next(iter(found.values())).extend(unreadable)
    return found
