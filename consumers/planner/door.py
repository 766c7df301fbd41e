"""Where ingest asks: a connection for each plan, which ends with it. Shell.

Ingest hangs up when its client does. Then the plan is given up, wherever it is: in the line, with
its matrix, or in the solver, whose child is killed.
"""

import asyncio
import contextlib
import time
from datetime import UTC, datetime

from common.errors import InvalidUpdate
from common.log import get
from common.plans.body import PlanBody
from common.plans.frames import ASKED_BYTES_MAX, BrokenFrame, read_frame, write_frame
from common.plans.messages import (
    FromIngest,
    FromPlanner,
    LookedUp,
    PlanAsked,
    PlanBusy,
    PlanFailed,
    PlanInvalid,
    PlanMade,
    decode_from_ingest,
    encode_message,
)
from consumers.planner.maker import PlanMaker
from consumers.planner.numbers import PlannerNumbers
from consumers.planner.reading.keeping import NOTHING_LOOKED_UP, look_up_for
from consumers.planner.reading.plan import draft_of, read_plan
from consumers.planner.search import PlanUnmade
from consumers.planner.solving.pool import LineFull, SolverPool

# Each may hold a body of megabytes.
CONNECTIONS_MAX = 64
# Ingest has the whole body before it connects, and a network carries it in a second.
ASKED_TIMEOUT_S = 3.0
# Ingest asks Redis, and gives that up within its own time-out.
LOOK_UP_TIMEOUT_S = 3.0
# Ingest reads what it waits for.
ANSWER_TIMEOUT_S = 3.0
BUSY_RETRY_S = 5
FAILED_RETRY_S = 2

_log = get("planner")


class PlanDoor:
    """Answers connections."""

    def __init__(self, pool: SolverPool, maker: PlanMaker, numbers: PlannerNumbers) -> None:
        self._pool = pool
        self._maker = maker
        self._numbers = numbers
        self._connections: set[asyncio.Task[None]] = set()
        # Those that have not asked for anything yet; the oldest is first.
        self._unasked: dict[asyncio.Task[None], None] = {}

    async def open(self, host: str, port: int) -> asyncio.Server:
        """Listen. Raises `OSError`."""
        return await asyncio.start_server(self._connected, host, port, reuse_address=True)

    async def close(self) -> None:
        """Give up what is under way."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or not self._make_room():
            writer.close()
            return
        self._connections.add(task)
        self._unasked[task] = None
        try:
            data = await _first_message(reader)
            self._unasked.pop(task, None)
            if data is not None:
                await self._serve(data, reader, writer)
        except OSError:
            self._numbers.ended("left")
            # What somebody does not read would be kept for them.
            writer.transport.abort()
        finally:
            self._connections.discard(task)
            self._unasked.pop(task, None)
            writer.close()

    def _make_room(self) -> bool:
        """Whether one more connection may come. If need be it takes the place of the one that has
        been silent for the longest: however many of those there are, who asks at once is heard.
        """
        if len(self._connections) < CONNECTIONS_MAX:
            return True
        silent = next(iter(self._unasked), None)
        if silent is None:
            return False
        del self._unasked[silent]
        self._connections.discard(silent)
        silent.cancel()
        return True

    async def _serve(
        self, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked = decode_from_ingest(data)
        if not isinstance(asked, PlanAsked):
            raise BrokenFrame("it begins with another message")
        told: asyncio.Queue[FromIngest] = asyncio.Queue(maxsize=1)
        work = asyncio.create_task(self._answer(asked.body, _Asker(told, writer)))
        hearing = asyncio.create_task(_hear(reader, told))
        try:
            await asyncio.wait((work, hearing), return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise BrokenFrame("ingest hung up")
            answer = work.result()
        finally:
            for task in (work, hearing):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
        # Whoever does not read it holds one of the connections.
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await write_frame(writer, encode_message(answer))

    async def _answer(self, data: bytes, asker: "_Asker") -> FromPlanner:
        begun_s = time.monotonic()
        try:
            async with self._pool.turn() as solver:
                body = read_plan(data)
                looked_up = await asker.look_up(body)
                draft = draft_of(body, looked_up, datetime.now(UTC))
                made = await self._maker.make(draft, body, looked_up.fit, solver)
        except LineFull:
            self._numbers.ended("busy")
            return PlanBusy("too many plans are under way", BUSY_RETRY_S)
        except InvalidUpdate as e:
            self._numbers.ended("invalid")
            return PlanInvalid(e.status, e.detail, [(f.field, f.detail) for f in e.faults])
        except PlanUnmade as e:
            self._numbers.ended("failed")
            return PlanFailed(str(e), FAILED_RETRY_S)
        except BrokenFrame:
            raise
        except Exception as e:  # a bug in one plan ends that plan, and no other
            self._numbers.ended("failed")
            _log.error("planner.failed", exc_info=e)
            return PlanFailed("an error on our side; it has been logged", FAILED_RETRY_S)
        self._numbers.ended("made", time.monotonic() - begun_s)
        return PlanMade(made)


class _Asker:
    """Asks ingest back."""

    def __init__(self, told: "asyncio.Queue[FromIngest]", writer: asyncio.StreamWriter) -> None:
        self._told = told
        self._writer = writer

    async def look_up(self, body: PlanBody) -> LookedUp:
        """What this plan needs to know of the fleet."""
        question = look_up_for(body)
        if question is None:
            return NOTHING_LOOKED_UP
        try:
            # Meanwhile it has a solver.
            async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                await write_frame(self._writer, encode_message(question))
                answer = await self._told.get()
        except OSError as e:
            raise BrokenFrame("ingest does not say what it was asked") from e
        if not isinstance(answer, LookedUp):
            raise BrokenFrame("another message than was asked for")
        return answer


async def _first_message(reader: asyncio.StreamReader) -> bytes | None:
    """None from somebody who only looks whether the planner listens, or is no ingest."""
    try:
        async with asyncio.timeout(ASKED_TIMEOUT_S):
            return await read_frame(reader, ASKED_BYTES_MAX)
    except OSError:
        return None


async def _hear(reader: asyncio.StreamReader, told: "asyncio.Queue[FromIngest]") -> None:
    """Take messages until ingest hangs up; returns then."""
    with contextlib.suppress(OSError):
        while True:
            await told.put(decode_from_ingest(await read_frame(reader, ASKED_BYTES_MAX)))
