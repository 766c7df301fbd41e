"""The planner as ingest sees it: a connection for each plan. Holds no rules.

A connection that ends is the planner's death, or ours: cancelling `ask` hangs up, and the planner
gives the plan up.
"""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from common.errors import Overloaded
from common.plans.frames import ANSWER_BYTES_MAX, read_frame, write_frame
from common.plans.messages import (
    FromPlanner,
    LookedUp,
    LookUp,
    PlanAsked,
    decode_from_planner,
    encode_message,
)

# It is on this machine, or a network away.
CONNECT_TIMEOUT_S = 1.0
# Two plans of ten seconds before it in the line, its own, and what is around them.
ANSWER_TIMEOUT_S = 45.0
# It is back within seconds if it died.
AWAY_RETRY_S = 5
AWAY = "no planner answers"

LookUpFleet = Callable[[LookUp], Awaitable[LookedUp]]


class PlannerClient:
    """Asks the planner at an address."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    async def ask(self, body: bytes, look_up: LookUpFleet) -> FromPlanner:
        """What comes of a body. Raises `Overloaded` where there is no planner, or it goes away.

        `look_up` answers what the planner asks back; what it raises is raised here.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self._host, self._port)
        except OSError as e:
            raise Overloaded(AWAY, retry_after_s=AWAY_RETRY_S) from e
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await _talk(reader, writer, body, look_up)
        except (OSError, msgspec.MsgspecError) as e:
            raise Overloaded("the planner went away", retry_after_s=AWAY_RETRY_S) from e
        finally:
            writer.close()


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes, look_up: LookUpFleet
) -> FromPlanner:
    await write_frame(writer, encode_message(PlanAsked(body)))
    while True:
        message: FromPlanner = decode_from_planner(await read_frame(reader, ANSWER_BYTES_MAX))
        if not isinstance(message, LookUp):
            return message
        await write_frame(writer, encode_message(await look_up(message)))
