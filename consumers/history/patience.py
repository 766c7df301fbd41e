"""How the history stage waits out trouble: for ever, in growing steps, and until it is stopped."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from common.backoff import Backoff
from common.errors import SinkUnavailable
from common.log import Repeated, get
from consumers.history.batch import TableRefusesAll
from consumers.stream.group_reader import REDIS_TROUBLE, is_group_missing

# An outage may last minutes; half-second retries notice its end soon and cost nothing.
BACKOFF = Backoff(first_s=0.1, most_s=1.0)
# A table that refuses everything is said as an error this often: about each half minute.
SAY_EVERY_REFUSALS = 50
# What is waited out.
TROUBLE = (SinkUnavailable, *REDIS_TROUBLE)


class Patience:
    """One stage's waiting. `make_group` is called when Redis has lost the group."""

    def __init__(
        self, make_group: Callable[[], Awaitable[None]], *, backoff: Backoff = BACKOFF
    ) -> None:
        self._make_group = make_group
        self._backoff = backoff
        self._log = get("history")
        self._waiting = Repeated(self._log, "history.waiting")
        self.stopping = asyncio.Event()
        # Failures in a row, and how many of them said that the table refuses everything.
        self.attempt = self._refusals = 0
        # How often was waited since the process began.
        self.troubles = 0

    async def back_off(self, error: Exception) -> None:
        """Wait a while because of `error`; not when told to stop."""
        self.troubles += 1
        if is_group_missing(error) and self.attempt == 0:
            # Made again at once, unless that was tried just now.
            self.attempt = 1
            with contextlib.suppress(*REDIS_TROUBLE):
                await self._make_group()
            return
        if isinstance(error, TableRefusesAll):
            if self._refusals % SAY_EVERY_REFUSALS == 0:
                self._log.error("history.table_refuses_all", error=str(error))
            self._refusals += 1
        self._waiting.failed(error=str(error), attempt=self.attempt)
        delay_s = self._backoff.delay_s(self.attempt)
        self.attempt += 1
        await self.pause(delay_s)

    def healed(self) -> None:
        """Something worked."""
        self.attempt = self._refusals = 0
        self._waiting.healed()

    async def pause(self, seconds: float) -> None:
        """Wait; not when told to stop."""
        if seconds <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
