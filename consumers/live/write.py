"""Writes of the live stage: several pipelines that leave together."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from common.errors import Overloaded
from common.redis.wire import Command, Reply, Wire
from consumers.live.order_servers import ANSWER_TIMEOUT_S


class LiveWrite(NamedTuple):
    """Commands for one connection, and what is done with their replies.

    `lost`: for a server that others must not wait for, what is done when it does not answer.
    """

    wire: Wire
    commands: list[Command]
    take: Callable[[Sequence[Reply]], None]
    lost: Callable[[], None] | None = None


_Sent = tuple[LiveWrite, asyncio.Future[list[Reply]]]


async def send_all(writes: Sequence[LiveWrite]) -> None:
    """Send all of them at once, and hand on the replies. Raises `Overloaded` if one was lost;
    what the others did is taken all the same.
    """
    sent: list[_Sent] = []
    elsewhere: list[_Sent] = []
    for write in writes:
        try:
            replies = write.wire.pipeline_raw(write.commands)
        except Overloaded:
            if write.lost is None:
                raise
            write.lost()
        else:
            (sent if write.lost is None else elsewhere).append((write, replies))
    lost: Overloaded | None = None
    for write, replies in sent:
        try:
            write.take(await replies)
        except Overloaded as e:
            lost = e
    if elsewhere:
        await asyncio.wait([replies for _, replies in elsewhere], timeout=ANSWER_TIMEOUT_S)
        for write, replies in elsewhere:
            if replies.done():
                # At once, not in the loop's next turn: what they say decides what is put back.
                _take(write, replies)
            else:
                _lose(write)
                replies.add_done_callback(partial(_take, write))
    if lost is not None:
        raise lost


def _take(write: LiveWrite, replies: asyncio.Future[list[Reply]]) -> None:
    """Take what came, however late."""
    if replies.cancelled():
        return
    if replies.exception() is None:
        write.take(replies.result())
    else:
        _lose(write)


def _lose(write: LiveWrite) -> None:
    if write.lost is not None:
        write.lost()
