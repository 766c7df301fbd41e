"""Turns on a loop whose clock jumps: when they leave, what a lost reply means, and for how long."""

import asyncio
from collections.abc import Sequence
from typing import Any

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Overloaded
from common.pack import split_pack
from common.redis.nodes import Nodes
from common.shards import Shards
from ingest.intake.write_turns import Turns, WriteTurns
from tests.virtual import run_virtually

TIMEOUT_S = 1.5
REFUSED = hiredis.ReplyError("OOM command not allowed")


class StubWire:
    """Stands in for a `Wire`: a write is answered when the test says so, or never."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        # (when, commands, replies) of each write.
        self.writes: list[tuple[float, list[Any], asyncio.Future[Any]]] = []

    def pipeline_raw(self, commands: Sequence[Any]) -> asyncio.Future[Any]:
        if self.down:
            raise Overloaded("Redis is not reachable")
        loop = asyncio.get_running_loop()
        self.writes.append((loop.time(), list(commands), loop.create_future()))
        return self.writes[-1][2]

    def packs(self, number: int) -> list[list[bytes]]:
        return [split_pack(c[4]) for c in self.writes[number][1] if c[0] == "XADD"]

    def answer(self, number: int, *, refuse: Sequence[int] = ()) -> None:
        _, commands, replies = self.writes[number]
        names = iter(range(len(commands)))
        found: list[object] = []
        for command in commands:
            place = next(names)
            refused = place // 2 in refuse
            found.append(REFUSED if refused else b"7-%d" % place if command[0] == "XADD" else 1)
        replies.set_result(found)

    def lose(self, number: int) -> None:
        self.writes[number][2].set_exception(Overloaded("Redis: lost; the outcome is unknown"))


def turns_of(wire: StubWire, *, gap_s: float = 0.0, bytes_max: int = 1000) -> Turns:
    nodes = Nodes(wire)  # type: ignore[arg-type]
    shards = Shards("s", 2)
    return Turns(nodes, shards, gap_s=gap_s, timeout_s=TIMEOUT_S, bytes_max=bytes_max)


async def passed(seconds: float = 0.0) -> None:
    """Let the loop do what is due within that time."""
    await asyncio.sleep(seconds)
    for _ in range(5):
        await asyncio.sleep(0)


def first(wire: StubWire, **more: Any) -> WriteTurns:
    return turns_of(wire, **more).of[0]


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
        assert [when for when, _, _ in wire.writes] == pytest.approx([0.01, 0.015, 0.02])
        # After a pause an event leaves at once.
        await passed(1.0)
        turns.add_one(0, b"x")
        await passed()
        assert wire.writes[3][0] == pytest.approx(1.02)
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


# A step: an event for a shard, a body for both, a reply, a refusal, a lost link, time.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("one"), st.integers(0, 1)),
        st.tuples(st.just("body"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["answer", "refuse", "lose", "wait"]), st.just(0)),
    ),
    max_size=30,
)


class Model:
    """Does the steps, and notes what was sent, who waits, and what became of each event."""

    def __init__(self, gap_s: float) -> None:
        self.wire = StubWire()
        self.turns = first(self.wire, gap_s=gap_s, bytes_max=10_000)
        self.sent: dict[int, list[bytes]] = {0: [], 1: []}
        self.waiters: list[tuple[list[bytes], asyncio.Future[Any]]] = []
        self.accepted: dict[bytes, bool] = {}

    async def step(self, number: int, kind: str, value: int) -> None:
        if kind == "one":
            event = b"%d" % number
            self.sent[value].append(event)
            self.waiters.append(([event], self.turns.add_one(value, event)))
        elif kind == "body":
            body = {s: [b"%d.%d.%d" % (number, s, n) for n in range(value)] for s in (0, 1)}
            for shard, events in body.items():
                self.sent[shard] += events
            self.waiters.append((body[0] + body[1], self.turns.add(list(body.items()))))
        elif kind == "wait":
            await passed(0.001)
        else:
            await self.settle(kind)

    async def settle(self, kind: str) -> None:
        """Answer the turn that is out, once the gap is over."""
        await passed(0.01)
        if not self.wire.writes or self.wire.writes[-1][2].done():
            return
        for number, pack in enumerate(self.wire.packs(-1)):
            accepted = kind == "answer" or (kind == "refuse" and number > 0)
            self.accepted.update(dict.fromkeys(pack, accepted))
        if kind == "lose":
            self.wire.lose(-1)
        else:
            self.wire.answer(-1, refuse=[0] if kind == "refuse" else [])
        await passed()


@settings(deadline=None)
@given(STEPS, st.sampled_from([0.0, 0.002]))
def test_whatever_happens_order_holds_and_each_waiter_is_told_what_is_true(steps, gap_s):
    async def main() -> None:
        model = Model(gap_s)
        for number, (kind, value) in enumerate(steps):
            await model.step(number, kind, value)
        # What was out, and what gathered meanwhile.
        for _ in range(2):
            await model.settle("answer")
        left = [pack for n in range(len(model.wire.writes)) for pack in model.wire.packs(n)]
        for events in model.sent.values():
            own = set(events)
            assert [event for pack in left for event in pack if event in own] == events
        for events, waiting in model.waiters:
            assert waiting.done()
            accepted = all(model.accepted[event] for event in events)
            assert (waiting.exception() is None) == accepted

    run_virtually(main())
