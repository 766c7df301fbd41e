"""Settles a page: each of its entries is stored or dead-lettered, and then acknowledged.

An entry is settled when every event of its pack is. Whatever fails on the way is tried again, the
page stays in hand; and once something failed the process has outlived the page, so that the page
is not suspected of having killed it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from common.dead_letter import CRASHED, UNDECODABLE, DeadLetter, driver_in
from common.log import get
from consumers.history.batch import Batch
from consumers.history.pages import HistoryPage
from consumers.history.patience import TROUBLE, Patience
from consumers.history.table import HistoryTable
from consumers.stream.counts import ENTRIES_LOST, REPEATS, Counts
from consumers.stream.dead_letters import DeadLetterWriter
from consumers.stream.entry import Entry, Undecodable, decode_page
from consumers.stream.group_reader import REDIS_TROUBLE, GroupReader

T = TypeVar("T")


class Settler:
    """Settles one page at a time. `advanced` is called at each answer."""

    def __init__(
        self,
        group: GroupReader,
        table: HistoryTable,
        letters: DeadLetterWriter,
        counts: Counts,
        patience: Patience,
        *,
        retries: int,
        advanced: Callable[[], None],
    ) -> None:
        self._group = group
        self._table = table
        self._letters = letters
        self._counts = counts
        self._patience = patience
        self._retries = retries
        self._advanced = advanced
        # The page whose entries count as begun once more.
        self._counted: HistoryPage | None = None

    async def settle(self, page: HistoryPage) -> None:
        """Return when the page is settled. When told to stop, or cancelled, it stays pending.

        Raises one of `TROUBLE` when told to stop meanwhile.
        """
        try:
            await self._settle(page)
        except asyncio.CancelledError:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._survived())
            raise
        finally:
            self._counted = None

    async def _settle(self, page: HistoryPage) -> None:
        if page.times:
            await self._until_done(lambda: self._count_begin(page))
        decoded = decode_page(entry for entry in page.entries if entry.id not in page.killers)
        letters = [
            _killer_letter(entry, page.times) for entry in page.entries if entry.id in page.killers
        ]
        letters += map(_undecodable_letter, decoded.undecodable)
        with_events = {placed.entry_id for placed in decoded.events}
        # Entries without a sound event need no database.
        await self._write([letter for letter in letters if letter.entry_id not in with_events])
        await self._acknowledge(decoded.vanished)
        self.say_lost(decoded.vanished)

        batch = Batch(
            decoded.events,
            possibly_stored=page.possibly_stored,
            retries=self._retries,
            advanced=self._advanced,
        )
        refused = await self._until_done(lambda: batch.store(self._table))
        refused += [letter for letter in letters if letter.entry_id in with_events]
        await self._write(sorted(refused, key=lambda letter: letter.entry_id))
        stored = with_events.difference(letter.entry_id for letter in refused)
        await self._acknowledge([entry.id for entry in page.entries if entry.id in stored])
        self._counts.add(REPEATS, batch.repeats)
        if self._letters.deferred:
            await self._survived()

    async def _count_begin(self, page: HistoryPage) -> None:
        """From here on the page is suspected, until it is settled or something fails."""
        self._counted = page
        await self._group.set_delivery_counts(page.ids, page.times + 1)

    async def _survived(self) -> None:
        """The process lives, so the entries in its hands did not kill it: take back the count."""
        if self._counted is not None:
            with contextlib.suppress(*REDIS_TROUBLE):
                await self._group.set_delivery_counts(self._counted.ids, 1)
                self._counted = None

    async def _write(self, letters: list[DeadLetter]) -> None:
        if letters:
            await self._until_done(lambda: self._letters.write_and_ack(letters))

    async def _acknowledge(self, ids: list[bytes]) -> None:
        if ids:
            await self._until_done(lambda: self._group.acknowledge(ids))

    async def _until_done(self, step: Callable[[], Awaitable[T]]) -> T:
        """Try a step until it is done. Raises its error when told to stop meanwhile."""
        while True:
            self._advanced()
            try:
                done = await step()
            except TROUBLE as e:
                await self._survived()
                if self._patience.stopping.is_set():
                    raise
                await self._patience.back_off(e)
            else:
                self._advanced()
                self._patience.healed()
                return done

    def say_lost(self, ids: Sequence[bytes]) -> None:
        """Say loudly that entries vanished before they were stored: somebody trimmed the stream."""
        if ids:
            self._counts.add(ENTRIES_LOST, len(ids))
            get("history").error("entries.lost", count=len(ids), first=ids[0].decode())


def _killer_letter(entry: Entry, times: int) -> DeadLetter:
    payload = entry.pack or b""
    error = "the worker died each time it was in its hands"
    return DeadLetter(entry.id, payload, driver_in(payload), CRASHED, error, "", times)


def _undecodable_letter(bad: Undecodable) -> DeadLetter:
    driver_id = driver_in(bad.payload)
    entry_id = bad.position.entry_id
    return DeadLetter(entry_id, bad.payload, driver_id, UNDECODABLE, bad.detail, "", 1)
