"""Fixes into the stream, as fast as their drivers may send: a writer, and a pace."""

from collections.abc import Awaitable, Sequence

import hiredis

from common.errors import Overloaded
from ingest.intake.intake_counts import IntakeCounts
from ingest.intake.pace import FixPace, retry_after_s
from ingest.intake.validate import Fix
from ingest.intake.writer.stream_writer import Receipt, StreamWriter


class Producer:
    """Adds fixes to their streams; one for a worker.

    `require_pace(driver_id)` raises `Refused` (429) for a driver that is known to be too fast,
    before anything it sends is looked at. `charge(driver_id, count)` makes refused fixes count.
    """

    def __init__(self, writer: StreamWriter, pace: FixPace) -> None:
        self._writer = writer
        self._pace = pace
        self.counts = IntakeCounts()
        self.require_pace = pace.require
        self.charge = pace.charge

    def fixes(self) -> dict[str, int]:
        """Fixes by what became of them, as metrics call it."""
        counts = self.counts
        return {
            "accepted": counts.accepted,
            "invalid": counts.invalid,
            # A body of a driver that is too fast, refused unread, counts as one.
            "too_fast": counts.too_fast + self._pace.turned_away,
            "overloaded": counts.overloaded,
        }

    def add(self, fixes: Sequence[Fix], *, whole: bool = False) -> Awaitable[Receipt]:
        """Add (driver id, event) pairs, each driver's in their order, as far as its rate allows.

        With `whole` a driver's fixes are all taken or none: for senders that can only repeat the
        whole body, and would be charged for a part that was taken each time.

        Raises, when awaited, `Overloaded` when not all that may be added are known to be in their
        streams, and `Refused` (429) when none may; with `whole`, when one may not.
        """
        if len(fixes) == 1 and self._pace.spend(fixes[0][0]):
            return self._add_one(*fixes[0])
        return self._add_many(fixes, whole=whole)

    async def _add_one(self, driver_id: str, event: bytes) -> Receipt:
        try:
            receipt = Receipt(await self._writer.write_one(driver_id, event))
        except Overloaded:
            self.counts.overloaded += 1
            raise
        self.counts.accepted += 1
        return receipt

    async def _add_many(self, fixes: Sequence[Fix], *, whole: bool) -> Receipt:
        try:
            return await self._add(fixes, whole=whole)
        except Overloaded:
            # Of some the outcome is unknown: all have to be sent again.
            self.counts.overloaded += len(fixes)
            raise

    async def _add(self, fixes: Sequence[Fix], *, whole: bool) -> Receipt:
        writer, pace = self._writer, self._pace
        admission = pace.admit(fixes, whole=whole)
        replies = await writer.write(admission.paid, admission.asks, whole=whole)
        limited, longest_s = admission.limited, admission.wait_s
        unscripted: list[Fix] = []
        message_id = b""
        for ask, reply in zip(admission.asks, replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                added, wait_s = pace.take_locally(ask, whole=whole)
                unscripted += [(ask.driver_id, event) for event in ask.events[:added]]
            else:
                added, wait_s = pace.note(ask, reply)
                message_id = writer.message_id(ask.driver_id, reply[3])
            limited += ask.indexes[added:]
            longest_s = max(longest_s, wait_s)
        if len(unscripted) == 1:
            message_id = await writer.write_one(*unscripted[0])
        elif unscripted:
            await writer.write(unscripted)
        self.counts.accepted += len(fixes) - len(limited)
        self.counts.too_fast += len(limited)
        if limited and (whole or len(limited) == len(fixes)):
            raise pace.too_fast(longest_s)
        if limited:
            return Receipt(message_id, sorted(limited), retry_after_s(longest_s))
        return Receipt(message_id)
