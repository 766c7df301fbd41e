"""The lease on a shard: one writer at a time, also when two hosts are told to run the same shard.

The key `consumer:{T}` holds who the writer is and expires unless renewed. A holder on this
machine that is dead is taken over at once, any other only when its lease has run out. A worker
that was frozen and finds somebody else in its place must leave: its view of the newest positions
is old. Comparing and acting are one step in Redis each: between two, a lease could change hands.

Each time that the lease is taken the number `fence:{T}` grows. A writer's transactions are refused
once it is not the number that came with its lease (`consumers.live.write_fence`).
"""

import time
from importlib.resources import files

from common.errors import FleetlineError
from common.keys import ShardKeys
from common.redis.wire import Wire
from consumers.stream.holder import Holder

# A dead host is replaced within this, a second for the others to look, and a start. Shorter, and a
# Redis that fails over (2 s until it is noticed, up to 2 for the election) costs every lease.
TTL_S = 7
# Renewed this often; with replies that are late within their limit (5 s) still before TTL_S.
RENEW_EVERY_S = 1.0
# Past this age a lease is confirmed before anything is written under it.
FRESH_S = TTL_S / 2

_TAKE = files(__package__).joinpath("lease.lua").read_text()
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Fenced(FleetlineError):
    """Another worker holds the shard."""


def now_s() -> float:
    """Seconds since the machine began, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """This worker's lease on its shard. Methods raise `Overloaded` when Redis is away."""

    def __init__(self, wire: Wire, keys: ShardKeys) -> None:
        self._wire = wire
        self._keys = keys
        self.me = Holder.of_this_process()
        self._confirmed_at_s = 0.0
        # The number of the fence that belongs to this lease; empty: a full Redis gave none.
        self.fence = b""

    @property
    def fresh(self) -> bool:
        """Whether nobody else can have taken the shard since it was last confirmed."""
        return now_s() - self._confirmed_at_s < FRESH_S

    @property
    def age_s(self) -> float | None:
        """Since the lease was confirmed; None while this worker has not held it."""
        return now_s() - self._confirmed_at_s if self._confirmed_at_s else None

    async def acquire(self) -> str | None:
        """Take the lease if it is free, or prolong it. Returns None, or who holds it."""
        holder = await self._take()
        theirs = Holder.parse(holder)
        if theirs is not None and theirs.is_dead_beside(self.me):
            holder = await self._take(dead=holder)
        return holder or None

    async def renew(self) -> None:
        """Prolong the lease. Raises `Fenced` when somebody else holds it."""
        holder = await self.acquire()
        if holder is not None:
            raise Fenced(f"the shard is held by {holder}")

    async def confirm(self) -> None:
        """Before something is written under the lease: be sure of it. Raises `Fenced`."""
        if not self.fresh:
            await self.renew()

    async def release(self) -> None:
        """Give the lease back, so that a successor need not wait."""
        await self._wire.send("EVAL", _RELEASE, 1, self._keys.consumer, str(self.me))

    async def _take(self, dead: str = "") -> str:
        asked_at_s = now_s()
        keys = (self._keys.consumer, self._keys.fence)
        holder, fence = await self._wire.send("EVAL", _TAKE, 2, *keys, str(self.me), TTL_S, dead)
        if not holder:
            self._confirmed_at_s = asked_at_s
            self.fence = fence
        name: str = holder.decode()
        return name
