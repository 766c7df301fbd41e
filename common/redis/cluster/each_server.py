"""The same question to several servers, one of which may be away while the others are not."""

import asyncio
from collections.abc import Mapping, Sequence

import hiredis

from common.errors import Overloaded
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire, without_errors

# What servers are given that nobody else has to wait for; they answer in milliseconds.
ANSWER_TIMEOUT_S = 1.0
# Error replies of a server that does not serve its keys now.
AWAY = ("CLUSTERDOWN", "LOADING", "MASTERDOWN", "MOVED", "TRYAGAIN")


async def ask_each(
    nodes: Nodes, asked: Mapping[Wire, Sequence[Command]]
) -> dict[Wire, list[Reply]]:
    """The replies of each server; of a cluster those are left out that do not answer.

    Raises `hiredis.ReplyError` for any other refusal; a server that is alone raises `Overloaded`.
    """
    if not nodes.is_cluster:
        return {wire: await wire.pipeline(commands) for wire, commands in asked.items()}
    answers = await asyncio.gather(*(_ask(wire, asked[wire]) for wire in asked))
    return {w: replies for w, replies in zip(asked, answers, strict=True) if replies is not None}


async def _ask(wire: Wire, commands: Sequence[Command]) -> list[Reply] | None:
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            replies = await wire.pipeline_raw(commands)
    except (Overloaded, TimeoutError):
        return None
    if any(isinstance(r, hiredis.ReplyError) and str(r).startswith(AWAY) for r in replies):
        return None
    return without_errors(replies)
