"""Writes of the live stage: several pipelines that leave together."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from common.errors import Overloaded
from common.redis.wire import Command, Reply, Wire


class LiveWrite(NamedTuple):
    """Commands for one connection, and what is done with their replies."""

    wire: Wire
    commands: list[Command]
    take: Callable[[Sequence[Reply]], None]


async def send_all(writes: Sequence[LiveWrite]) -> None:
    """Send all of them at once, and hand on the replies. Raises `Overloaded` if one was lost;
    what the others did is taken all the same.
    """
    sent = [(write.wire.pipeline_raw(write.commands), write.take) for write in writes]
    lost: Overloaded | None = None
    for replies, take in sent:
        try:
            take(await replies)
        except Overloaded as e:
            lost = e
    if lost is not None:
        raise lost
