"""The history stage: one page in its hands at a time, until each of its entries is settled.

While the database is away it does not read on: the lag grows in the stream, nowhere else.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable

from common import log
from common.errors import SinkUnavailable
from consumers.history.pages import HistoryPage, PageSource
from consumers.history.patience import TROUBLE, Patience
from consumers.history.settle import HistorySigns, Settler
from consumers.history.table import HistoryTable

# The live stage's first page is waited for so long at the start, see `LiveStage.begun`.
LIVE_BEGINS_S = 5.0


class HistoryStage:
    """Reads and settles until it is stopped. What is not settled by then stays pending.

    `database`: its number, from 1, where this is one of several stages of a shard.
    """

    def __init__(
        self,
        source: PageSource,
        settler: Settler,
        table: HistoryTable,
        patience: Patience,
        *,
        linger_s: float,
        signs: HistorySigns,
        database: int | None = None,
    ) -> None:
        self._source = source
        self._database = database
        self._settler = settler
        self._table = table
        self._patience = patience
        self._linger_s = linger_s
        self._advanced, self.watch = signs

    @property
    def troubles(self) -> int:
        """How often the stage had to wait."""
        return self._patience.troubles

    def stop(self) -> None:
        """Settle the page in hand, then return from `run`."""
        self._patience.stopping.set()

    async def run(self, begin: Callable[[], Awaitable[object]]) -> None:
        """Work until stopped, beginning when `begin` returns.

        Raises `ConfigError` when the database is set wrong.
        """
        if self._database is not None:
            log.bind(database=self._database)
        with contextlib.suppress(SinkUnavailable):
            # Found out now, not at the first row.
            await self._table.ensure()
        self._advanced()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LIVE_BEGINS_S):
                await begin()
        while not self._patience.stopping.is_set():
            self._advanced()
            read_at_s = time.monotonic()
            try:
                page = await self._next_page()
                self.watch.read()
                await self._settler.settle(page)
            except TROUBLE as e:
                # A reply that was lost may have delivered entries, which are pending then.
                self._source.take_pending_again()
                await self._patience.back_off(e)
                continue
            self._patience.healed()
            if not self._source.has_more:
                # What comes in the meantime makes a page together.
                await self._patience.pause(read_at_s + self._linger_s - time.monotonic())

    async def _next_page(self) -> HistoryPage:
        self._settler.say_lost(await self._source.reclaim())
        if self._source.has_pending:
            # A database that is away is no reason to begin with entries of a predecessor.
            await self._table.ensure()
        return await self._source.next_page()
