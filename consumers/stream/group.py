"""A consumer group that Redis lost: made again, and what is gone with it said as a number.

After a flush, or a restart without its data, stream and pending list are gone. What the worker
holds in memory is stored all the same. What else it had seen waiting is lost, and counted.
"""

import time

from common.log import get
from consumers.history.stage import History
from consumers.stream.counts import ENTRIES_LOST, GROUPS_LOST, Counts
from consumers.stream.reader import Reader

_log = get("worker")


async def make_again(stream: str, reader: Reader, history: History, counts: Counts) -> None:
    """Make the group, at the stream's beginning. Raises `Overloaded` or `hiredis.ReplyError`.

    The alarm says what was seen waiting a moment ago and is not there any more: not what was
    accepted since that look, which nobody has seen.
    """
    left = await reader.any_left()
    await reader.ensure_group()
    age_s = reader.waiting.age_s(time.monotonic())
    lost = 0 if left else reader.waiting.gone(history.held)
    _log.error(
        "group.lost",
        stream=stream,
        entries_lost=lost,
        seen_before_s=None if age_s is None else round(age_s, 1),
        kept_in_memory=history.held,
        # Only the group is gone: all that the stream holds is read again.
        stream_left=left,
    )
    counts.add(GROUPS_LOST, 1)
    counts.add(ENTRIES_LOST, lost)
    if left:
        history.fall_behind()
        await history.begin()
    else:
        history.pending_lost()
    reader.waiting.forget()
    await reader.look()
