"""Messages over a stream: four bytes of length before each. Shell.

A browser that is made to connect here speaks HTTP, whose first four bytes are a length beyond any
limit: its connection ends there.
"""

import asyncio
from typing import Final

from common.plans.limits import PLAN_BODY_BYTES_MAX

LENGTH_BYTES = 4
# Around a body: its tag and its length; and every driver and order that a plan may name.
ASKED_BYTES_MAX: Final = PLAN_BODY_BYTES_MAX + 1_024
# 100 routes of 500 stops, each with a line as long as they come.
ANSWER_BYTES_MAX: Final = 32 * 1_048_576


class BrokenFrame(OSError):
    """What came is no message."""


async def read_frame(reader: asyncio.StreamReader, bytes_max: int) -> bytes:
    """The next message. Raises `BrokenFrame`, also where the other side is gone, and `OSError`."""
    try:
        length = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
        if length > bytes_max:
            raise BrokenFrame(f"a message of {length} bytes")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as e:
        raise BrokenFrame("the other side is gone") from e


async def write_frame(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Send a message. Raises `OSError`."""
    writer.write(len(message).to_bytes(LENGTH_BYTES, "big"))
    writer.write(message)
    await writer.drain()
