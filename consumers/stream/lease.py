"""The lease on a shard: one writer at a time, also when two hosts are told to run the same shard.

The key `consumer:{s}` holds who the writer is and expires unless renewed. A holder on this
machine that is dead is taken over at once, any other only when its lease has run out. A worker
that was frozen and finds somebody else in its place must leave: its view of the newest positions
is old.
"""

import os
import time
from pathlib import Path

import hiredis

from common.errors import FleetlineError
from common.redis.wire import Wire, is_full

TTL_S = 10
# Past this age a lease is confirmed before anything is written under it.
FRESH_S = TTL_S / 2


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

    async def acquire(self) -> str | None:
        """Take the lease if it is free. Returns None, or who holds it."""
        asked_at = time.monotonic()
        holder = await self._set_if_free()
        if holder not in ("", self._me):
            if not is_dead_here(holder, self._me):
                return holder
            await self._wire.send("SET", self._key, self._me, "EX", TTL_S)
        self._confirmed_at = asked_at
        return None

    async def _set_if_free(self) -> str:
        try:
            reply = await self._wire.send("SET", self._key, self._me, "NX", "EX", TTL_S, "GET")
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise
            # Redis is full: only storing and acknowledging can empty it, so the shard must run.
            reply = await self._wire.send("GET", self._key)
        return (reply or b"").decode()

    async def renew(self) -> None:
        """Prolong the lease. Raises `Fenced` when somebody else holds it."""
        asked_at = time.monotonic()
        if await self._wire.send("GET", self._key) == self._me.encode():
            await self._wire.send("EXPIRE", self._key, TTL_S)
            self._confirmed_at = asked_at
            return
        holder = await self.acquire()
        if holder is not None:
            raise Fenced(f"the shard is held by {holder}")

    async def release(self) -> None:
        """Give the lease back, so that a successor need not wait."""
        if await self._wire.send("GET", self._key) == self._me.encode():
            await self._wire.send("DEL", self._key)
