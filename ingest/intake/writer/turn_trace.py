"""Lines for the fixes of a write to Redis that are followed (`common.trace`): they are on disk."""

from collections.abc import Iterator, Sequence
from typing import Any

import hiredis

from common.redis.wire import Reply
from common.stream.pack import EVENTS_MAX
from common.trace import Stage, Tracing
from ingest.intake.writer.gathering import Turn


def note_turn(tracing: Tracing, turn: Turn[Any], replies: Sequence[Reply]) -> None:
    """Leave a line for each fix of an answered turn that is followed."""
    for position, event in _written(turn, replies):
        if tracing.picks(event):
            tracing.note(Stage.ON_DISK, event, id=position)


def _written(turn: Turn[Any], replies: Sequence[Reply]) -> Iterator[tuple[str, bytes]]:
    """Position and event of what Redis took."""
    asked_from = 2 * len(turn.packs)
    for pack, reply in zip(turn.packs, replies[:asked_from:2], strict=True):
        if not isinstance(reply, hiredis.ReplyError):
            yield from _placed(pack.shard, reply, pack.events)
    for question, reply in zip(turn.questions, replies[asked_from:], strict=True):
        # The script's answer begins with how many it took; its command ends with the events.
        if not isinstance(reply, hiredis.ReplyError) and 0 < reply[0] <= EVENTS_MAX:
            events = question.command[-question.fixes :][: reply[0]]
            yield from _placed(question.shard, reply[3], events)


def _placed(shard: int, entry: bytes, events: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
    position = f"{shard}-{entry.decode()}"
    if len(events) == 1:
        yield position, events[0]
        return
    for place, event in enumerate(events):
        yield f"{position}-{place}", event
