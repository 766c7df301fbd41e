"""Entries: what a stream holds, before and after decoding."""

from typing import NamedTuple

from common.event import LocationEvent


class RawEntry(NamedTuple):
    """An entry as read. `payload` is None when Redis deleted it before it was acknowledged."""

    id: bytes
    payload: bytes | None


class Entry(NamedTuple):
    """An entry whose event could be decoded."""

    id: bytes
    event: LocationEvent
    payload: bytes


def id_order(entry_id: bytes) -> tuple[int, int]:
    """A stream id (`<ms>-<sequence>`) as numbers, which compare in the stream's order."""
    ms, _, sequence = entry_id.partition(b"-")
    return int(ms), int(sequence)


def next_id(entry_id: bytes) -> bytes:
    """The smallest id after `entry_id`."""
    ms, sequence = id_order(entry_id)
    return b"%d-%d" % (ms, sequence + 1)
