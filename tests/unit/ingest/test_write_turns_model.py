"""Turns against a model: any order of events, bodies, replies, refusals and lost links."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stub_wire import StubWire, first, passed
from tests.virtual import run_virtually

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
        if not self.wire.writes or self.wire.writes[-1].answered:
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
