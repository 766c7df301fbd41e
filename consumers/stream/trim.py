"""Trimming: the stream is cut behind the oldest entry that is still needed, never past it."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import hiredis

from common.keys import META, ShardKeys
from common.log import get
from common.redis.nodes import Nodes
from common.redis.wire import Wire
from consumers.stream.entry import id_order
from consumers.stream.groups import (
    GroupPlace,
    find_group,
    groups_of,
    horizon,
    is_key_missing,
    named_groups,
    needed_from,
)
from consumers.stream.places_hold import PlacesHold

GROUPS_FIELD = "groups"
# Names of other groups that are remembered as said; past it they are not said at all.
SAID_MAX = 100

_log = get("trim")


class Trim:
    """Cuts one stream. `groups` are those that store, `live_through` asks for the id through which
    the live stage has read it; `places` knows how long the places engine is waited for.
    """

    def __init__(
        self,
        wire: Wire,
        nodes: Nodes,
        keys: ShardKeys,
        *,
        groups: Sequence[str],
        live_through: Callable[[], Awaitable[bytes]],
        places: PlacesHold,
    ) -> None:
        self._wire = wire
        self._nodes = nodes
        self._stream = keys.stream
        self._groups = frozenset(group.encode() for group in groups)
        self._live_through = live_through
        self._places = places
        self._said: set[bytes] = set()

    async def trim(self) -> int:
        """Remove entries that nobody needs, and return how many; 0 while a group is not there.

        Safe without a transaction: whatever is delivered between the questions and the cut is
        newer than the horizon. Raises `Overloaded` or `hiredis.ReplyError`.
        """
        try:
            groups = groups_of(await self._wire.send("XINFO", "GROUPS", self._stream))
        except hiredis.ReplyError as e:
            if not is_key_missing(e):
                raise
            return 0
        named = await self._nodes.key_wire(META).send("HGET", META, GROUPS_FIELD)
        counting = self._groups | named_groups(named)
        self._say_ignored(group for group in groups if group.name not in counting)
        needed = [
            await _needed_from(self._wire, self._stream, group)
            for group in groups
            if group.name in counting
        ]
        storing = [group for group in groups if group.name in self._groups]
        if len(storing) < len(self._groups):
            return 0
        # Asked last: if the stream began anew since the other questions, nothing is cut.
        cut = horizon(needed, await self._live_through())
        waiting = max(group.pending + (group.lag or 0) for group in storing)
        cut = await self._places.cut(cut, waiting)
        trimmed: int = await self._wire.send("XTRIM", self._stream, "MINID", "=", cut)
        return trimmed

    def _say_ignored(self, groups: Iterable[GroupPlace]) -> None:
        for group in groups:
            if group.name not in self._said and len(self._said) < SAID_MAX:
                self._said.add(group.name)
                _log.warning(
                    "group.does_not_count",
                    stream=self._stream,
                    group=group.name.decode("utf-8", "replace")[:SAID_MAX],
                    detail=f"what it has not read is trimmed; HSET {META} {GROUPS_FIELD} names it",
                )


async def oldest_needed(wire: Wire, stream: str, groups: Sequence[str]) -> bytes | None:
    """The first id that one of the groups has not acknowledged; None when none is there."""
    try:
        found = groups_of(await wire.send("XINFO", "GROUPS", stream))
        places = [place for name in groups if (place := find_group(found, name)) is not None]
        needed = [await _needed_from(wire, stream, place) for place in places]
    except hiredis.ReplyError:
        # No stream yet.
        return None
    return min(needed, key=id_order, default=None)


async def _needed_from(wire: Wire, stream: str, group: GroupPlace) -> bytes:
    oldest = (await wire.send("XPENDING", stream, group.name))[1] if group.pending else None
    return needed_from(group, oldest)
