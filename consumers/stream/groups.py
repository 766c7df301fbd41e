"""Consumer groups: where each stands in the stream, and how far the stream can be cut. Pure.

A group that counts is the one that stores (`CONSUMER_GROUP`), and each that an operator names in
the field `groups` of `fleetline:meta`, separated by commas. What any other group has not read is
trimmed all the same: somebody's look into a stream must not stop the intake.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from common.redis.wire import Reply
from consumers.stream.entry import id_order, next_id, previous_id

START = b"0-0"


class GroupPlace(NamedTuple):
    """A group: entries delivered and not acknowledged, the newest id delivered, and its lag.

    `lag` counts entries that were never delivered; None where Redis does not know.
    """

    name: bytes
    pending: int
    last_delivered: bytes
    lag: int | None


def groups_of(reply: Reply) -> list[GroupPlace]:
    """The groups in an answer to XINFO GROUPS."""
    groups = []
    for row in reply:
        facts = dict(zip(row[::2], row[1::2], strict=True))
        groups.append(
            GroupPlace(
                facts[b"name"], facts[b"pending"], facts[b"last-delivered-id"], facts.get(b"lag")
            )
        )
    return groups


def find_group(groups: Iterable[GroupPlace], name: str) -> GroupPlace | None:
    """The group of that name."""
    wanted = name.encode()
    return next((group for group in groups if group.name == wanted), None)


def named_groups(field: bytes | None) -> frozenset[bytes]:
    """The names in the field `groups` of `fleetline:meta`."""
    return frozenset(name for part in (field or b"").split(b",") if (name := part.strip()))


def needed_from(group: GroupPlace, oldest_pending: bytes | None) -> bytes:
    """The first id that a group still needs."""
    return oldest_pending or next_id(group.last_delivered)


def horizon(needed: Sequence[bytes], live_through: bytes) -> bytes:
    """The id to cut before: the first that a group needs or the live stage has not read."""
    return min((*needed, next_id(live_through)), key=id_order)


def waiting_in(group: GroupPlace, length: int) -> int:
    """Entries of a stream of that length which a group was never handed: an upper bound where
    Redis forgot the lag, as it does when entries are deleted out of order.
    """
    return max(0, length - group.pending) if group.lag is None else group.lag


def live_start(saved: bytes | None, needed: bytes | None, last_generated: bytes | None) -> bytes:
    """The id after which the live stage reads: where its predecessor was, if that is still true.

    Without a saved cursor (the first start of this version) the entries that the history has not
    acknowledged are read, `needed` being the first of them. A cursor beyond the newest id of the
    stream is of another life of it: Redis was emptied, and its clock is behind. `last_generated`
    is `START` without a stream, and None where Redis does not say.
    """
    cursor = saved if saved is not None else previous_id(needed) if needed is not None else START
    if last_generated is not None and is_beyond(cursor, last_generated):
        return START
    return cursor


def is_key_missing(error: Exception) -> bool:
    """Whether Redis says that there is no stream."""
    return "no such key" in str(error)


def is_beyond(cursor: bytes, last_generated: bytes) -> bool:
    """Whether a cursor lies beyond the newest id that the stream ever had."""
    return id_order(cursor) > id_order(last_generated)
