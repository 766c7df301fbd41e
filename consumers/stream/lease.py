"""The lease on a shard: one writer at a time, also when two hosts are told to run the same shard.

The key `consumer:{s}` holds who the writer is and expires unless renewed. A holder on this
machine that is dead is taken over at once, any other only when its lease has run out. A worker
that was frozen and finds somebody else in its place must leave: its view of the newest positions
is old. Comparing and acting are one step in Redis each: between two, a lease could change hands.
"""

import os
import time
from importlib.resources import files
from pathlib import Path

from common.errors import FleetlineError
from common.redis.wire import Wire

TTL_S = 10
# Renewed this often; with replies that are late within their limit (5 s) still well before TTL_S.
RENEW_EVERY_S = 1.0
# Past this age a lease is confirmed before anything is written under it.
FRESH_S = TTL_S / 2

_TAKE = files(__package__).joinpath("lease.lua").read_text()
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Fenced(FleetlineError):
    """Another worker holds the shard."""


def identity() -> str:
    """`<machine boot>/<pid namespace>/<pid>` of this process; the first two say who can see it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115
    return f"{boot}/{namespace}/{os.getpid()}"


def is_dead_here(holder: str, me: str) -> bool:
    """Whether `holder` is a process this one could see, and does not."""
    theirs, _, pid = holder.rpartition("/")
    if theirs != me.rpartition("/")[0] or not pid.isdigit():
        return False
    return not Path(f"/proc/{pid}").exists()


class Lease:
    """This worker's lease on its shard. Methods raise `Overloaded` when Redis is away."""

    def __init__(self, wire: Wire, key: str) -> None:
        self._wire = wire
        self._key = key
        self._me = identity()
        self._confirmed_at = 0.0

    @property
    def fresh(self) -> bool:
        """Whether nobody else can have taken the shard since it was last confirmed."""
        return time.monotonic() - self._confirmed_at < FRESH_S

    @property
    def age_s(self) -> float | None:
        """Since the lease was confirmed; None while this worker has not held it."""
        return time.monotonic() - self._confirmed_at if self._confirmed_at else None

    async def acquire(self) -> str | None:
        """Take the lease if it is free, or prolong it. Returns None, or who holds it."""
        holder = await self._take()
        if holder and is_dead_here(holder, self._me):
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
        await self._wire.send("EVAL", _RELEASE, 1, self._key, self._me)

    async def _take(self, dead: str = "") -> str:
        asked_at = time.monotonic()
        reply = await self._wire.send("EVAL", _TAKE, 1, self._key, self._me, TTL_S, dead)
        holder: str = reply.decode()
        if not holder:
            self._confirmed_at = asked_at
        return holder
