"""A wire that is answered when a test says so, and turns that write to it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hiredis

from common.errors import Overloaded
from common.redis.nodes import Nodes
from common.redis.wire import Receiver
from common.shards import Shards
from common.stream.pack import split_pack
from ingest.intake.writer.turns import Turns
from ingest.intake.writer.write_turns import WriteTurns
from tests.wait import pace

TIMEOUT_S = 1.5
REFUSED = hiredis.ReplyError("OOM command not allowed")


@dataclass(slots=True)
class Write:
    """What was written when, and who gets the replies."""

    at: float
    commands: list[Any]
    receiver: Receiver
    answered: bool = False


class StubWire:
    """Stands in for a `Wire`: a write is answered when the test says so, or never."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down
        self.writes: list[Write] = []

    def write_now(self, commands: Sequence[Any], receiver: Receiver) -> None:
        if self.down:
            raise Overloaded("Redis is not reachable")
        now = asyncio.get_running_loop().time()
        self.writes.append(Write(now, list(commands), receiver))

    def packs(self, number: int) -> list[list[bytes]]:
        return [split_pack(c[4]) for c in self.writes[number].commands if c[0] == "XADD"]

    def answer(self, number: int, *, refuse: Sequence[int] = ()) -> None:
        write = self.writes[number]
        found: list[object] = []
        for place, command in enumerate(write.commands):
            refused = place // 2 in refuse
            found.append(REFUSED if refused else b"7-%d" % place if command[0] == "XADD" else 1)
        write.answered = True
        write.receiver.set_result(found)

    def lose(self, number: int) -> None:
        self.writes[number].answered = True
        self.writes[number].receiver.set_exception(
            Overloaded("Redis: lost; the outcome is unknown")
        )


def turns_of(
    wire: StubWire, *, gap_s: float = 0.0, bytes_max: int = 1000, **replication: Any
) -> Turns:
    nodes = Nodes(wire)  # type: ignore[arg-type]
    return Turns(
        nodes,
        Shards("s", 2),
        gap_s=gap_s,
        timeout_s=TIMEOUT_S,
        bytes_max=bytes_max,
        **replication,
    )


async def passed(seconds: float = 0.0) -> None:
    """Let the loop, whose clock jumps, do what is due within that time."""
    await pace(seconds)
    for _ in range(5):
        await pace(0)


def first(wire: StubWire, **more: Any) -> WriteTurns:
    return turns_of(wire, **more).of[0]
