"""Long reads run a few at a time, none of a sender before its turn."""

import asyncio

import pytest

from common.errors import Overloaded, Refused
from common.problem import TOO_MANY_READS
from ingest.http.read_limiter import PER_SENDER_MAX, READS_MAX, ReadLimiter
from tests.wait import until


class Reads:
    """Reads that run until they are told to end."""

    def __init__(self, limiter: ReadLimiter) -> None:
        self._limiter = limiter
        self._ended = asyncio.Event()
        self.running: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    def begin(self, *senders: str) -> None:
        """Begin a read of each."""
        self.tasks += [asyncio.create_task(self._read(sender)) for sender in senders]

    async def run(self, *senders: str) -> None:
        """Wait until the reads of `senders` run, in that order, and no others."""

        async def they_do() -> bool:
            return self.running == list(senders)

        await until(they_do, what=f"{senders} to run, not {self.running}")

    async def end(self) -> list[BaseException | None]:
        """Let all of them run to their end; what each ended with."""
        self._ended.set()
        return await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _read(self, sender: str) -> None:
        async with self._limiter.turn(sender):
            self.running.append(sender)
            await self._ended.wait()


def test_one_sender_takes_its_share_and_the_next_one_runs() -> None:
    async def run() -> None:
        reads = Reads(ReadLimiter(2, 1))
        reads.begin("a", "a", "a", "b", "c")
        await reads.run("a", "b")
        assert await reads.end() == [None] * 5
        assert sorted(reads.running) == ["a", "a", "a", "b", "c"]

    asyncio.run(run())


def test_a_sender_with_too_many_reads_is_refused_and_others_are_not() -> None:
    async def run() -> None:
        limiter = ReadLimiter(2, 1)
        reads = Reads(limiter)
        reads.begin(*["a"] * PER_SENDER_MAX)
        await reads.run("a")
        with pytest.raises(Refused) as refused:
            async with limiter.turn("a"):
                pass
        assert (refused.value.status, refused.value.problem) == (429, TOO_MANY_READS)
        async with limiter.turn("b"):
            pass
        await reads.end()
        async with limiter.turn("a"):
            pass

    asyncio.run(run())


def test_all_senders_together_are_bounded() -> None:
    async def run() -> None:
        limiter = ReadLimiter(2, 1)
        reads = Reads(limiter)
        reads.begin(*(f"s{n}" for n in range(READS_MAX)))
        await reads.run("s0", "s1")
        with pytest.raises(Overloaded):
            async with limiter.turn("another"):
                pass
        await reads.end()
        async with limiter.turn("another"):
            pass

    asyncio.run(run())


def test_a_turn_that_does_not_come_is_refused_and_leaves_no_trace() -> None:
    async def run() -> None:
        limiter = ReadLimiter(1, 1, wait_max_s=0.01)
        reads = Reads(limiter)
        reads.begin("a")
        await reads.run("a")
        for sender in ("a", "b"):
            with pytest.raises(Overloaded):
                async with limiter.turn(sender):
                    pass
        assert await reads.end() == [None]
        for sender in ("a", "b"):
            async with limiter.turn(sender):
                pass

    asyncio.run(run())


def test_a_reader_that_leaves_gives_up_its_place() -> None:
    async def run() -> None:
        reads = Reads(ReadLimiter(1, 1))
        reads.begin("a", "a", "b")
        await reads.run("a")
        for task in reads.tasks[:2]:
            task.cancel()
        await reads.run("a", "b")
        await reads.end()

    asyncio.run(run())
