"""Asks nodes of a cluster what they say of it."""

import asyncio
from collections.abc import Iterable, Sequence

import hiredis

from common.redis.cluster.redirect import ClusterWire
from common.redis.cluster.slot_map import Address, View, newest_view, read_view
from common.redis.connection import FAILURES, open_greeted
from common.redis.link import Link
from common.redis.url import Command, RedisUrl
from common.redis.wire import Reply

# Longest wait for what a node says of the cluster.
VIEW_TIMEOUT_S = 1.0
_VIEW_BYTES_MAX = 65_536
_VIEW: tuple[Command, ...] = (("CLUSTER", "INFO"), ("CLUSTER", "SLOTS"))
# What a server says that is no node.
NO_NODE = View(ok=False, epoch=0, ranges=())


async def view_over(wires: Iterable[ClusterWire]) -> View | None:
    """The newest view of those that are connected; None where none of them has one."""
    views = await asyncio.gather(*map(_view_over, wires))
    return newest_view(view for view in views if view is not None)


async def view_from(servers: Iterable[RedisUrl]) -> View | None:
    """Likewise over connections of their own. `NO_NODE` where a server answers that is none."""
    views = [v for v in await asyncio.gather(*map(_view_from, servers)) if v is not None]
    return newest_view(views) or (NO_NODE if NO_NODE in views else None)


async def _view_over(wire: ClusterWire) -> View | None:
    try:
        async with asyncio.timeout(VIEW_TIMEOUT_S):
            return _read(await wire.here(_VIEW), wire.address)
    except FAILURES:
        return None


async def _view_from(server: RedisUrl) -> View | None:
    try:
        async with asyncio.timeout(VIEW_TIMEOUT_S):
            link = await open_greeted(
                server,
                lambda: Link(VIEW_TIMEOUT_S, _VIEW_BYTES_MAX),
                name="fleetline",
                timeout_s=VIEW_TIMEOUT_S,
            )
            try:
                return _read(await link.add_many(_VIEW), Address(server.host, server.port))
            finally:
                link.fail("asked")
    except FAILURES:
        return None


def _read(replies: Sequence[Reply], asked: Address) -> View | None:
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            return NO_NODE if "cluster support disabled" in str(reply) else None
    return read_view(replies[0], replies[1], asked)
