"""Which driver alone an order shows, as its book in Redis says, remembered by the worker.

A worker asks for an order when it meets it, and again when a change is announced. It looks for
announcements when it takes a page, at most every `LOOK_EVERY_S`: what it wrote before, the keeper
of the orders mends within the second. A look begins with the last announcement that was seen. If
that is not there, some were missed (Redis lost them, or had no room for more), and everything is
asked for again.
"""

import asyncio
from collections.abc import Collection, Container
from typing import Final

import hiredis
import msgspec

from common.errors import Overloaded
from common.event import MALFORMED
from common.frame import is_of_driver
from common.keys import ORDER_CHANGES, order_book_key, order_bucket
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply

LOOK_EVERY_S = 0.25
# In a cluster the announcements may be on a server that is away, and this worker's are not: it
# goes on with what it knows, and looks again after a while. Nothing is missed by that.
LOOK_TIMEOUT_S = 0.5
LOOK_AGAIN_S = 2.0
# Announcements that are read at once. More in a quarter of a second, and all is asked for again.
ANNOUNCED_MAX = 1000
# Whose fixes an order shows that nobody registered, with ORDERS=registered: no driver's id.
NOBODY: Final = ""


class _Bound(msgspec.Struct, gc=False):
    """Of an order in a book, what is needed here."""

    driver_id: str | None = None


_decode = msgspec.json.Decoder(_Bound).decode


class OrderBindings:
    """The drivers of orders. `only`: order -> the driver whose fixes alone are shown."""

    def __init__(self, nodes: Nodes, *, registered_only: bool) -> None:
        self._nodes = nodes
        self._registered_only = registered_only
        self.only: dict[str, str] = {}
        self._seen: bytes | None = None
        self._look_at_s = 0.0
        self._trouble = Repeated(get("live"), "live.order_changes")

    async def changes(self, now_s: float) -> Collection[str] | None:
        """Orders to be asked for again; None: all of them. `now_s` is monotonic."""
        if now_s < self._look_at_s:
            return ()
        self._look_at_s = now_s + LOOK_EVERY_S
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                found = await self._announced()
        except (Overloaded, TimeoutError) as e:
            self._look_at_s = now_s + LOOK_AGAIN_S
            self._trouble.failed(error=str(e) or type(e).__name__)
            return ()
        except hiredis.ReplyError as e:
            # Somebody made the key by hand.
            self._trouble.failed(error=str(e))
            return None
        self._trouble.healed()
        if found is None or b"" in found:
            return None
        return [name.decode("utf-8", "replace") for name in found]

    async def _announced(self) -> list[bytes] | None:
        wire = self._nodes.key_wire(ORDER_CHANGES)
        if self._seen is None:
            entries = await wire.send("XREVRANGE", ORDER_CHANGES, "+", "-", "COUNT", 1)
            if not entries:
                return []
            self._seen = entries[0][0]
            return None
        asked = ("XRANGE", ORDER_CHANGES, self._seen, "+", "COUNT", ANNOUNCED_MAX + 1)
        entries = await wire.send(*asked)
        if not entries or entries[0][0] != self._seen:
            self._seen, self._look_at_s = None, 0.0
            return None
        self._seen = entries[-1][0]
        return None if len(entries) > ANNOUNCED_MAX else [fields[1] for _, fields in entries[1:]]

    def asking(self, order_id: str) -> Command:
        """What asks for an order; the reply is for `learn`."""
        return ("HGET", order_book_key(order_bucket(order_id)), order_id)

    def learn(self, order_id: str, reply: Reply) -> None:
        """Remember what the book says of an order."""
        known, driver_id = _driver_in(reply)
        if driver_id is not None:
            self.only[order_id] = driver_id
        elif self._registered_only and not known:
            self.only[order_id] = NOBODY
        else:
            self.only.pop(order_id, None)

    def may_show(self, order_id: str, event: bytes) -> bool:
        """Whether an event's bytes may be shown as this order's."""
        driver_id = self.only.get(order_id)
        return driver_id is None or is_of_driver(event, driver_id)

    def forget(self, order_ids: Collection[str] | None) -> None:
        """Of these orders, or of all, nothing is known any more."""
        if order_ids is None:
            self.only.clear()
            return
        for order_id in order_ids:
            self.only.pop(order_id, None)

    def keep(self, known: Container[str]) -> None:
        """Forget all orders but these, which are asked for again when they are met."""
        self.only = {name: driver for name, driver in self.only.items() if name in known}


def _driver_in(reply: Reply) -> tuple[bool, str | None]:
    """Whether a book has the order, and the driver that it names."""
    if not isinstance(reply, bytes):
        return False, None
    try:
        return True, _decode(reply).driver_id
    except MALFORMED:
        return False, None
