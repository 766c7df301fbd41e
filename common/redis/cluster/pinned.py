"""A connection of its own to the primary of one slot, whichever that is.

A primary that stands still, or that the network has cut off, ends no connection. Who waited for its
replies would wait for as long as those may take, while another serves the slot already; so the
connection is given up once the map of slots says so, also while it is only being made.
"""

import asyncio
from collections.abc import Awaitable, Callable

from common.errors import Overloaded
from common.redis.cluster.slot_map import Address
from common.redis.link import Link
from common.redis.url import RedisUrl
from common.redis.wire import Wire

_MOVED = "another server has these keys now"


class PinnedWire(Wire):
    """`locate` gives the primary of `slot`, as far as is known."""

    def __init__(
        self,
        slot: int,
        locate: Callable[[int], Awaitable[RedisUrl]],
        *,
        reply_timeout_s: float,
        name: str,
    ) -> None:
        super().__init__(self._locate_slot, reply_timeout_s=reply_timeout_s, name=name)
        self.slot = slot
        self._primary = locate
        self._at: Address | None = None
        self._moved = asyncio.Event()

    async def _locate_slot(self) -> RedisUrl:
        url = await self._primary(self.slot)
        self._at = Address(url.host, url.port)
        return url

    def follow(self, owner: Address | None) -> None:
        """The slot is `owner`'s."""
        if owner is None or owner == self._at:
            return
        self._moved.set()
        if self._link is not None:
            self._link.fail(_MOVED)

    async def _connect(self) -> Link:
        self._moved.clear()
        opening = asyncio.ensure_future(super()._connect())
        moving = asyncio.ensure_future(self._moved.wait())
        try:
            await asyncio.wait((opening, moving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            moving.cancel()
            opening.cancel()
            await asyncio.gather(opening, moving, return_exceptions=True)
        if not self._moved.is_set():
            return opening.result()
        if not opening.cancelled() and opening.exception() is None:
            # It was made in the very moment in which the slot moved: `follow` did not know it.
            opening.result().fail(_MOVED)
        raise Overloaded(f"Redis: {_MOVED}")
