"""Makes the consumer group: at the start, and again when Redis has forgotten it."""

import hiredis

from common.log import get
from common.redis.wire import is_full
from consumers.stream.counts.counts import GROUPS_LOST, Counts
from consumers.stream.counts.gauge import StreamGauge
from consumers.stream.group_reader import GroupReader

_log = get("group")


class GroupMaker:
    """The group of one stream. Methods raise `Overloaded` or `hiredis.ReplyError`."""

    def __init__(self, reader: GroupReader, gauge: StreamGauge, counts: Counts) -> None:
        self._reader = reader
        self._gauge = gauge
        self._counts = counts

    async def make(self) -> None:
        """At the start: a group that is missing was never there.

        A full Redis refuses to make one, also one that is there: reading will tell.
        """
        try:
            await self._reader.ensure()
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise

    async def watch(self) -> None:
        """See what waits; while the history holds a page it does not see that the group is gone."""
        if not await self._gauge.look():
            await self.make_again()

    async def make_again(self) -> None:
        """It was there and is gone: say so, and say what was seen waiting for it.

        After a flush, or a restart without its data, stream and pending list are gone. The page
        that the worker has in hand is stored all the same.
        """
        facts = await self._gauge.what_a_loss_took()
        if await self._reader.ensure():
            _log.error("group.lost", **facts)
            self._counts.add(GROUPS_LOST, 1)
