"""The planner's door over stubs of solvers that hang, die or lie, and the line before them."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from typing import Any

import orjson
import psutil
import pytest

from common.errors import Overloaded
from common.plans.messages import (
    FromPlanner,
    LookedUp,
    LookUp,
    PlanBusy,
    PlanFailed,
    PlanMade,
    encode_message,
)
from common.roads.engine import RoadEngine
from consumers.planner.door import CONNECTIONS_MAX, PlanDoor
from consumers.planner.maker import PlanMaker
from consumers.planner.numbers import PlannerNumbers
from consumers.planner.solving.pool import WAITING_PER_SOLVER, SolverPool
from consumers.planner.solving.solver import Solver
from ingest.resources.plans.client import PlannerClient
from tests.servers import free_port
from tests.servers.fanout_server import until

# Answers each question by what stands in FORMED, a line of Python over `question` and `n`.
STUB = """
import sys
from consumers.planner.solving.question import SolverAnswer, decode_question, encode_answer
def write(message):
    sys.stdout.buffer.write(len(message).to_bytes(4, "big") + message)
    sys.stdout.buffer.flush()
write(b"ready")
while head := sys.stdin.buffer.read(4):
    question = decode_question(sys.stdin.buffer.read(int.from_bytes(head, "big")))
    write(encode_answer(SolverAnswer(%s)))
"""
SERVES = "[(0, [0])]"
HANGS = "__import__('threading').Event().wait()"
DIES = "__import__('os')._exit(9)"
# Twice the same stop: no plan that may be sent.
LIES = "[(0, [0, 0])]"
REFUSES = "[], 'it is too hot'"
BODY: dict[str, Any] = {
    "vehicles": [{"id": "v", "start": {"latitude": 1.0, "longitude": 2.0}}],
    "jobs": [{"id": "j", "at": {"latitude": 1.01, "longitude": 2.0}}],
}


async def nobody(_question: LookUp) -> LookedUp:
    return LookedUp({}, {})


class Planning:
    """A planner with one stub, and a client of it."""

    def __init__(self, formed: str) -> None:
        self.solver = Solver((sys.executable, "-c", STUB % formed))
        self.pool = SolverPool([self.solver])
        self.numbers = PlannerNumbers(self.pool)
        self.engine = RoadEngine({})
        self.port = free_port()
        maker = PlanMaker(self.engine, self.numbers)
        self.door = PlanDoor(self.pool, maker, self.numbers)

    async def ask(self, body: dict[str, Any] = BODY) -> FromPlanner:
        """What comes of it."""
        return await PlannerClient("127.0.0.1", self.port).ask(orjson.dumps(body), nobody)

    def results(self) -> dict[str, int]:
        return {name: count for name, count in self.numbers.results.items() if count}


@contextlib.asynccontextmanager
async def planning(formed: str) -> AsyncIterator[Planning]:
    it = Planning(formed)
    server = await it.door.open("127.0.0.1", it.port)
    it.pool.start()
    try:
        yield it
    finally:
        server.close()
        await it.door.close()
        await it.pool.close()
        await it.engine.close()


def run(formed: str, scenario: Any) -> None:
    async def main() -> None:
        async with planning(formed) as it:
            await scenario(it)

    asyncio.run(main())


def test_a_plan_is_made_checked_and_answered() -> None:
    async def scenario(it: Planning) -> None:
        made = await it.ask()
        assert isinstance(made, PlanMade)
        plan = orjson.loads(made.body)
        assert plan["method"] == "straight"
        assert [stop["type"] for stop in plan["routes"][0]["stops"]] == ["start", "job"]
        assert plan["routes"][0]["stops"][1]["at"] == BODY["jobs"][0]["at"]
        assert plan["cost"] == pytest.approx(plan["routes"][0]["duration_s"])
        assert "geometry" not in plan["routes"][0]
        assert it.results() == {"made": 1}

    run(SERVES, scenario)


@pytest.mark.parametrize(("formed", "words"), [(LIES, "breaks"), (REFUSES, "refuses")])
def test_what_may_not_be_sent_is_not_sent(formed: str, words: str) -> None:
    async def scenario(it: Planning) -> None:
        answer = await it.ask()
        assert isinstance(answer, PlanFailed)
        assert words in answer.detail
        assert it.results() == {"failed": 1}
        assert it.numbers.violations == (formed == LIES)

    run(formed, scenario)


def test_a_solver_that_dies_of_a_plan_is_replaced_and_that_is_said() -> None:
    async def scenario(it: Planning) -> None:
        answer = await it.ask()
        assert isinstance(answer, PlanFailed)
        # Tried with another one first.
        await until(lambda: it.pool.died == 2)

    run(DIES, scenario)


def test_a_killed_child_costs_no_plan() -> None:
    async def scenario(it: Planning) -> None:
        await it.ask()
        first = it.solver.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert isinstance(await it.ask(), PlanMade)
        assert it.solver.pid != first

    run(SERVES, scenario)


def test_a_client_that_leaves_ends_its_plan_wherever_that_is() -> None:
    async def scenario(it: Planning) -> None:
        asked = [asyncio.create_task(it.ask()) for _ in range(1 + WAITING_PER_SOLVER)]
        await until(lambda: it.pool.waiting == WAITING_PER_SOLVER and it.solver.warm)
        # Whoever comes now is told so at once.
        assert isinstance(await it.ask(), PlanBusy)
        first = it.solver.pid
        assert first is not None
        asked.pop().cancel()
        await until(lambda: it.pool.waiting == WAITING_PER_SOLVER - 1)
        for task in asked:
            task.cancel()
        await until(lambda: it.pool.waiting == 0)
        await until(lambda: not psutil.pid_exists(first))
        await until(lambda: it.results() == {"busy": 1, "left": 3})
        # Nobody meant it to die by itself.
        assert it.pool.died == 0
        await asyncio.gather(*asked, return_exceptions=True)

    run(HANGS, scenario)


def test_a_solver_that_is_late_is_killed_and_the_nearest_goes_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumers.planner.search.GRACE_S", -0.9)

    async def scenario(it: Planning) -> None:
        await until(lambda: it.solver.warm)
        first = it.solver.pid
        assert first is not None
        assert isinstance(await it.ask(), PlanMade)
        await until(lambda: not psutil.pid_exists(first))

    run(HANGS, scenario)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


# No messages, though their lengths are right: text that is none, and no end of lists.
KEY = encode_message(LookedUp({"drivers": (1.0, 2.0)}, {})).replace(b"drivers", b"dr\xffvers")
DEEP = b"\x82\xa4type\xa5asked\xa1x" + b"\x91" * 100_000


def test_whoever_is_no_ingest_is_hung_up_on() -> None:
    complaints: list[object] = []

    async def scenario(it: Planning) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))
        nothing = b"POST /api/v1/plans HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x02{}", b""
        for sent in (*nothing, framed(KEY), framed(DEEP)):
            reader, writer = await asyncio.open_connection("127.0.0.1", it.port)
            writer.write(sent)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert isinstance(await it.ask(), PlanMade)

    run(SERVES, scenario)
    assert complaints == []


def test_silent_connections_give_way_to_one_that_asks() -> None:
    async def scenario(it: Planning) -> None:
        silent = [
            await asyncio.open_connection("127.0.0.1", it.port) for _ in range(CONNECTIONS_MAX)
        ]
        # A length, and never the message: silent too.
        for _, writer in silent:
            writer.write(b"\x00\x10\x00\x00")
        assert isinstance(await it.ask(), PlanMade)
        # The first to be silent went first, and no more than one had to.
        assert await silent[0][0].read() == b""
        assert not silent[1][0].at_eof()
        for _, writer in silent:
            writer.close()

    run(SERVES, scenario)


def test_without_a_planner_there_is_a_clear_answer() -> None:
    async def main() -> None:
        with pytest.raises(Overloaded) as caught:
            await PlannerClient("127.0.0.1", free_port()).ask(b"{}", nobody)
        assert caught.value.retry_after_s > 0

    asyncio.run(main())
