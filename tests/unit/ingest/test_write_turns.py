"""Turns on a loop whose clock jumps: when they leave, what a lost reply means, and for how long."""

import asyncio
from typing import Any

import pytest

from common.errors import Overloaded
from tests.stub_wire import StubWire, first, passed, turns_of
from tests.virtual import run_virtually


def test_an_event_leaves_at_once_and_what_comes_meanwhile_leaves_together() -> None:
    async def main() -> None:
        wire = StubWire()
        turns = first(wire)
        alone = turns.add_one(0, b"a")
        await passed()
        together = [turns.add_one(0, b"b"), turns.add_one(1, b"c"), turns.add_one(0, b"d")]
        body = turns.add([(0, [b"e", b"f"]), (1, [b"g"])])
        await passed(1.0)
        assert [wire.packs(0), len(wire.writes)] == [[[b"a"]], 1]
        wire.answer(0)
        assert await alone == b"0-7-0"
        await passed()
        assert wire.packs(1) == [[b"b", b"d", b"e", b"f"], [b"c", b"g"]]
        wire.answer(1)
        assert await asyncio.gather(*together) == [b"0-7-0-0", b"1-7-2-0", b"0-7-0-1"]
        assert await body == []

    run_virtually(main())


def test_turns_leave_a_gap_apart() -> None:
    async def main() -> None:
        wire = StubWire()
        turns = first(wire, gap_s=0.005)
        # Not even the first waits for it.
        await passed(0.01)
        for number in range(3):
            turns.add_one(0, b"x")
            await passed()
            if number:
                turns.add_one(0, b"y")
                await passed(0.005)
            wire.answer(number)
            await passed()
        assert [write.at for write in wire.writes] == pytest.approx([0.01, 0.015, 0.02])
        # After a pause an event leaves at once.
        await passed(1.0)
        turns.add_one(0, b"x")
        await passed()
        assert wire.writes[3].at == pytest.approx(1.02)
        wire.answer(3)

    run_virtually(main())


def test_an_error_reply_fails_all_of_its_pack_and_nobody_else() -> None:
    async def main() -> None:
        wire = StubWire()
        turns = first(wire)
        waiting: list[asyncio.Future[Any]] = [
            turns.add_one(0, b"a"),
            turns.add([(0, [b"b", b"c"]), (1, [b"d"])]),
            turns.add_one(1, b"e"),
        ]
        await passed()
        wire.answer(0, refuse=[0])
        one, body, other = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(one, Overloaded)
        assert isinstance(body, Overloaded)
        # What Redis said names its insides; it is for the log.
        assert "OOM" not in str(one)
        assert other == b"1-7-2-1"

    run_virtually(main())


@pytest.mark.parametrize("down", [False, True])
def test_a_lost_link_fails_the_turn_and_what_gathered_goes_on_or_fails_too(down: bool) -> None:
    async def main() -> None:
        wire = StubWire()
        turns = first(wire)
        out = turns.add_one(0, b"a")
        await passed()
        gathered = turns.add_one(0, b"b")
        wire.down = down
        wire.lose(0)
        with pytest.raises(Overloaded, match="unknown"):
            await out
        await passed()
        if down:
            with pytest.raises(Overloaded, match="not reachable"):
                await gathered
            wire.down = False
        else:
            wire.answer(1)
            assert await gathered == b"0-7-0"
        later = turns.add_one(0, b"c")
        await passed()
        wire.answer(-1)
        assert await later == b"0-7-0"

    run_virtually(main())


def test_nobody_waits_longer_than_the_timeout_for_both_turns_together() -> None:
    """A reply just in time, and the next turn's time began anew: 3 s, where 2 are promised."""

    async def main() -> None:
        wire = StubWire()
        turns = first(wire)
        loop = asyncio.get_running_loop()
        failed_at: dict[str, float] = {}

        def note(name: str, waiting: asyncio.Future[Any]) -> None:
            waiting.add_done_callback(lambda _: failed_at.setdefault(name, loop.time()))

        out = turns.add_one(0, b"a")
        await passed(0.1)
        early = turns.add_one(0, b"b")
        note("early", early)
        await passed(1.3)
        late = turns.add_one(0, b"c")
        note("late", late)
        wire.answer(0)
        await out
        await passed(10)
        for waiting in (early, late):
            with pytest.raises(Overloaded, match="in time"):
                await waiting
        assert failed_at == pytest.approx({"early": 1.6, "late": 2.9}, abs=0.06)
        # The write is answered all the same, and turns go on.
        wire.answer(1)
        later = turns.add_one(0, b"d")
        await passed()
        wire.answer(2)
        assert await later == b"0-7-0"

    run_virtually(main())


def test_a_cancelled_waiter_changes_nothing() -> None:
    async def main() -> None:
        wire = StubWire()
        turns = first(wire)
        out = turns.add_one(0, b"a")
        await passed()
        gone, kept = turns.add([(0, [b"b", b"c"])]), turns.add_one(0, b"d")
        out.cancel()
        gone.cancel()
        wire.answer(0)
        await passed()
        assert wire.packs(1) == [[b"b", b"c", b"d"]]
        wire.answer(1)
        assert await kept == b"0-7-0-2"

    run_virtually(main())


def test_what_gathers_is_bounded_and_counted() -> None:
    async def main() -> None:
        wire = StubWire()
        all_turns = turns_of(wire, bytes_max=10)
        turns = all_turns.of[0]
        waiting = [turns.add_one(1, b"12345"), turns.add_one(1, b"12345")]
        assert all_turns.gathered() == [0, 2]
        for refused in (lambda: turns.add_one(0, b"6"), lambda: turns.add([(0, [b"6"])])):
            with pytest.raises(Overloaded, match="too much"):
                refused()
        await passed()
        assert all_turns.gathered() == [0, 0]
        waiting.append(turns.add_one(0, b"6"))
        wire.answer(0)
        await passed()
        wire.answer(1)
        assert len(await asyncio.gather(*waiting)) == 3

    run_virtually(main())
