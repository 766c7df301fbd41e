"""Settles a page: each of its entries is stored or dead-lettered, and then acknowledged.

An entry is settled when every event of its pack is. Whatever fails on the way is tried again, the
page stays in hand; and once something failed the process has outlived the page, so that the page
is not suspected of having killed it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

from common.log import get
from common.stream.dead_letter import DeadLetter
from consumers.history.batch import Batch
from consumers.history.letters import in_stream_order, letters_of
from consumers.history.pages import HistoryPage
from consumers.history.patience import TROUBLE, Patience
from consumers.history.table import HistoryTable
from consumers.history.trials import HistoryTrials
from consumers.stage_watch import StageWatch
from consumers.stream.counts.counts import ENTRIES_LOST, REPEATS, Counts
from consumers.stream.entry import DecodedPage, Entry, decode_page, decode_part
from consumers.stream.group_reader import REDIS_TROUBLE, GroupReader
from consumers.stream.poison.dead_letters import DeadLetterWriter
from consumers.stream.poison.trial import Trial

T = TypeVar("T")


class HistorySigns(NamedTuple):
    """What is told: `advanced` at each answer, `watch` of events that are stored or put aside."""

    advanced: Callable[[], None]
    watch: StageWatch


class Settler:
    """Settles one page at a time."""

    def __init__(
        self,
        group: GroupReader,
        table: HistoryTable,
        letters: DeadLetterWriter,
        counts: Counts,
        patience: Patience,
        *,
        trials: HistoryTrials,
        retries: int,
        signs: HistorySigns,
    ) -> None:
        self._group = group
        self._table = table
        self._letters = letters
        self._trials = trials
        self._counts = counts
        self._patience = patience
        self._retries = retries
        self._advanced, self._watch = signs
        # Says of what is suspected now that the process lives; None when nothing is.
        self._take_back: Callable[[], Awaitable[object]] | None = None

    async def settle(self, page: HistoryPage) -> None:
        """Return when the page is settled. When told to stop, or cancelled, it stays pending.

        Raises one of `TROUBLE` when told to stop meanwhile.
        """
        try:
            if page.trial is not None and page.entries[0].fixes:
                await self._settle_in_parts(page, page.entries[0], page.trial)
            else:
                await self._settle(page)
        except asyncio.CancelledError:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(self._survived())
            raise
        finally:
            self._take_back = None

    async def _settle(self, page: HistoryPage) -> None:
        if page.times:
            await self._until_done(lambda: self._count_begin(page))
        decoded = decode_page(page.entries, page.killers, picked=self._group.picks)
        letters = letters_of(decoded)
        entries: Sequence[Entry] = page.entries
        if letters:
            # Entries without a sound event need no database.
            sound = {placed.entry_id for placed in decoded.events}
            hopeless = [x for x in entries if x.pack is not None and x.id not in sound]
            await self._finish(hopeless, [x for x in letters if x.stream_id not in sound])
            entries = [entry for entry in entries if entry.id in sound]
            letters = [letter for letter in letters if letter.stream_id in sound]
        if decoded.vanished:
            await self._acknowledge([entry for entry in page.entries if entry.pack is None])
            self.say_lost(decoded.vanished)
        letters += await self._store(decoded, possibly_stored=page.possibly_stored)
        await self._finish(entries, letters)

    async def _settle_in_parts(self, page: HistoryPage, entry: Entry, trial: Trial) -> None:
        """The same for one entry, some places of its pack at a time.

        What was survived before is stored once more without harm, and its letters are found
        again: those of an entry are written together, with its acknowledgement.
        """
        skip = {*page.killers, *trial.killer_names(entry)}
        letters = await self._store_part(entry, 0, trial.begin, skip)
        while not trial.is_over(entry.fixes):
            if not await self._until_done(partial(self._begin_trial, trial)):
                # Redis is full. The entry stays pending, and what follows makes room.
                return
            letters += await self._store_part(entry, trial.begin, trial.end, skip)
            trial = trial.survived(entry.fixes)
        await self._finish([entry], letters)
        await self._until_done(self._trials.forget)

    async def _store_part(
        self, entry: Entry, begin: int, end: int, skip: Collection[bytes]
    ) -> list[DeadLetter]:
        decoded = decode_part(entry, begin, end, skip)
        return letters_of(decoded) + await self._store(decoded, possibly_stored=True)

    async def _store(self, decoded: DecodedPage, *, possibly_stored: bool) -> list[DeadLetter]:
        """Store the events; letters for those that the table refuses."""
        batch = Batch(
            decoded.events,
            possibly_stored=possibly_stored,
            retries=self._retries,
            advanced=self._advanced,
        )
        letters = await self._until_done(lambda: batch.store(self._table))
        self._counts.add(REPEATS, batch.repeats)
        self._watch.done(decoded.events)
        return letters

    async def _finish(self, entries: Sequence[Entry], letters: list[DeadLetter]) -> None:
        """Write the letters of the entries that have some, and acknowledge the others."""
        if letters:
            fixes = {entry.id: entry.fixes for entry in entries}
            ordered = in_stream_order(letters)
            await self._until_done(lambda: self._letters.write_and_ack(ordered, fixes))
            if self._letters.deferred:
                await self._survived()
        lettered = {letter.stream_id for letter in letters}
        await self._acknowledge([x for x in entries if x.pack is not None and x.id not in lettered])

    async def _count_begin(self, page: HistoryPage) -> None:
        """From here on the page is suspected, until it is settled or something fails."""
        self._take_back = partial(self._group.set_delivery_counts, page.ids, 1)
        await self._group.set_delivery_counts(page.ids, page.times + 1)

    async def _begin_trial(self, trial: Trial) -> bool:
        """From here on this part of a pack is suspected; False when that cannot be kept."""
        self._take_back = partial(self._trials.keep, trial)
        return await self._trials.keep(trial._replace(begun=True))

    async def _survived(self) -> None:
        """The process lives, so what is in its hands did not kill it: take back the count."""
        if self._take_back is not None:
            with contextlib.suppress(*REDIS_TROUBLE):
                await self._take_back()
                self._take_back = None

    async def _acknowledge(self, entries: Sequence[Entry]) -> None:
        if entries:
            await self._until_done(lambda: self._group.acknowledge(entries))

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
