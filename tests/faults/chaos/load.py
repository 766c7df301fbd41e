"""The load: drivers that send, send again, send twice and send late, at a steady rate.

What happens to each fix is in the journal. A fix without a clear answer is sent again, as phones
do; some that were accepted are sent again all the same, at once or later.
"""

import asyncio
import heapq
import random
import time
from collections import Counter
from collections.abc import Sequence

from tests.faults.caller import Answer, Caller
from tests.faults.chaos.fixes import Fix, Fixes
from tests.faults.chaos.journal import Journal
from tests.wait import pace

# A phone waits for its answer: at least so many wait at a time, and more the more there are.
CONNECTIONS_MIN = 24
FIXES_A_CONNECTION = 20.0
# A fix without a clear answer is sent this often, then given up: its outcome stays unknown.
TRIES_MAX = 8
RETRY_AFTER_S = (0.2, 2.0)
BATCH_FIXES_MAX = 40
# Shares of requests.
BATCH_SHARE = 0.08
SENT_TWICE_SHARE = 0.02
SENT_LATER_SHARE = 0.01
# An answer is due by then, unless ingest itself is frozen.
LATE_S = 2.0
# Each watched order gets a fix this often, so a longest gap means something.
WATCHED_EVERY_S = 0.2


class Load:
    """Sends until stopped; counts what the journal does not say."""

    def __init__(
        self, port: int, journal: Journal, *, seed: int, rate: float, drivers: int, watched: int
    ) -> None:
        self._port = port
        self._journal = journal
        self._rng = random.Random(seed)
        self._fixes = Fixes(seed, drivers)
        self._rate = rate
        self._watched = watched
        self._connections = max(CONNECTIONS_MIN, round(rate / FIXES_A_CONNECTION))
        self._queue: asyncio.Queue[tuple[Sequence[Fix], int]] = asyncio.Queue(self._connections)
        self._again: list[tuple[float, int, Sequence[Fix], int]] = []
        self._order = 0
        self.statuses: Counter[int] = Counter()
        self.longest_202_s = 0.0
        self.longest_503_s = 0.0
        # (seconds it took, when it began, status) of answers that came later than promised; the
        # status is 0 where none came in that time.
        self.late: list[tuple[float, float, int]] = []
        # (seconds it took, when it began, drivers of the fixes) of each 503.
        self.refused: list[tuple[float, float, frozenset[str]]] = []
        self._began_s = time.monotonic()
        # Fixes that may never be taken and were, or the other way round.
        self.misjudged: list[str] = []

    async def run(self, stopping: asyncio.Event) -> None:
        """Send until `stopping`, then until everything has been answered or given up."""
        async with asyncio.TaskGroup() as group:
            senders = [group.create_task(self._send_all()) for _ in range(self._connections)]
            pacers = [group.create_task(self._pace(stopping))]
            pacers += [group.create_task(self._pace_watched(stopping))]
            await asyncio.wait(pacers)
            while self._again or not self._queue.empty():
                await self._put_due(time.monotonic())
                await pace(0.05)
                if not self._again:
                    # What is on its way may come back to be sent again.
                    await self._queue.join()
            await self._queue.join()
            for sender in senders:
                sender.cancel()

    async def _pace(self, stopping: asyncio.Event) -> None:
        due_s = time.monotonic()
        while not stopping.is_set():
            now_s = time.monotonic()
            await self._put_due(now_s)
            count = 1
            if self._rng.random() < BATCH_SHARE:
                count = self._rng.randint(2, BATCH_FIXES_MAX)
            fixes = [self._fixes.make(_now_us()) for _ in range(count)]
            await self._put(fixes, 1)
            # After an outage it goes on at its rate; it does not catch up.
            due_s = max(due_s, now_s - 1) + count / self._rate
            await pace(due_s - time.monotonic())

    async def _pace_watched(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            for index in range(self._watched):
                await self._put([self._fixes.make_watched(index, _now_us())], 1)
            await pace(WATCHED_EVERY_S)

    async def _put(self, fixes: Sequence[Fix], tries: int) -> None:
        await self._queue.put((fixes, tries))
        # Fixes dated ahead count as of their arrival: sent twice they arrive twice.
        if tries == 1 and all(fix.kind != "future" for fix in fixes):
            chance = self._rng.random()
            if chance < SENT_TWICE_SHARE:
                await self._queue.put((fixes, TRIES_MAX))
            elif chance < SENT_TWICE_SHARE + SENT_LATER_SHARE:
                self._later(fixes, TRIES_MAX, 3.0)

    async def _put_due(self, now_s: float) -> None:
        while self._again and self._again[0][0] <= now_s:
            _, _, fixes, tries = heapq.heappop(self._again)
            await self._put(fixes, tries)

    def _later(self, fixes: Sequence[Fix], tries: int, delay_s: float) -> None:
        self._order += 1
        heapq.heappush(self._again, (time.monotonic() + delay_s, self._order, fixes, tries))

    async def _send_all(self) -> None:
        caller = Caller(self._port)
        try:
            while True:
                fixes, tries = await self._queue.get()
                try:
                    await self._send(caller, fixes, tries)
                finally:
                    self._queue.task_done()
        finally:
            caller.close()

    async def _send(self, caller: Caller, fixes: Sequence[Fix], tries: int) -> None:
        self._journal.sending(fixes)
        asked_s = time.monotonic()
        if len(fixes) == 1:
            answer = await caller.post(f"/api/v1/drivers/{fixes[0].driver}/location", _one(fixes))
        else:
            answer = await caller.post("/api/v1/drivers/locations", _many(fixes))
        took_s, status = time.monotonic() - asked_s, 0 if answer is None else answer.status
        if took_s > LATE_S:
            self.late.append((took_s, asked_s - self._began_s, status))
        if answer is not None:
            self.statuses[status] += 1
        if answer is not None and answer.status in {202, 422}:
            self._settle(fixes, answer)
            return
        if answer is not None and answer.status == 503:
            self.longest_503_s = max(self.longest_503_s, answer.took_s)
            drivers = frozenset(fix.driver for fix in fixes)
            self.refused.append((took_s, asked_s - self._began_s, drivers))
        self._journal.unknown(fixes)
        if tries < TRIES_MAX:
            self._later(fixes, tries + 1, self._rng.uniform(*RETRY_AFTER_S))

    def _settle(self, fixes: Sequence[Fix], answer: Answer) -> None:
        refused = set(range(len(fixes)))
        if answer.status == 202:
            self.longest_202_s = max(self.longest_202_s, answer.took_s)
            refused = {error["index"] for error in answer.body.get("errors", ())}
        good = [fix for n, fix in enumerate(fixes) if n not in refused]
        bad = [fix for n, fix in enumerate(fixes) if n in refused]
        self.misjudged += [f"accepted {fix}" for fix in good if not fix.is_good]
        self.misjudged += [f"refused {fix}: {answer}" for fix in bad if fix.is_good]
        self._journal.accepted(good)
        self._journal.refused(bad, answer.status)


def _one(fixes: Sequence[Fix]) -> dict[str, object]:
    return fixes[0].body()


def _many(fixes: Sequence[Fix]) -> dict[str, object]:
    return {"locations": [{"driver_id": fix.driver, **fix.body()} for fix in fixes]}


def _now_us() -> int:
    return time.time_ns() // 1000
