"""The lease on a shard: one writer at a time, also when two hosts are told to run the same shard.

The key `consumer:{T}` holds who the writer is and expires unless renewed. A holder on this
machine that is dead is taken over at once, any other only when its lease has run out. A worker
that was frozen and finds somebody else in its place must leave: its view of the newest positions
is old. Comparing and acting are one step in Redis each: between two, a lease could change hands.

Each time that the lease is taken the number `fence:{T}` grows. A writer's transactions are refused
once it is not the number that came with its lease (`consumers.live.write_fence`).

A lease that was taken counts once a replica has it, where REPLICATION says that of writes: after a
failover that knows nothing of it another worker takes the shard, while this one believes for
seconds that nobody can. Renewals need no replica: without the last of them a lease ends sooner.
"""

import contextlib
import secrets
import time
from importlib.resources import files

import hiredis

from common.errors import FleetlineError, Overloaded
from common.keys import ShardKeys
from common.redis.replication import REPLICA_TIMEOUT_MS, Replication, following
from common.redis.url import Command
from common.redis.wire import Wire
from consumers.stream.holder import Holder

# A dead host is replaced within this, a second for the others to look, and a start. Shorter, and a
# Redis that fails over (2 s until it is noticed, up to 2 for the election) costs every lease.
TTL_S = 7
# Renewed this often; with replies that are late within their limit (5 s) still before TTL_S.
RENEW_EVERY_S = 1.0
# Past this age a lease is confirmed before anything is written under it.
FRESH_S = TTL_S / 2

# The fence grows by one of these and a random part, which has fewer bits: two who take the shard on
# two servers that do not know of each other must not arrive at the same number. How often it was
# taken stays to be seen, up to 2**31 times.
FENCE_STEP = 1 << 32
_FENCE_RANDOM_BITS = 24

_TAKE = files(__package__).joinpath("lease.lua").read_text()
_RELEASE = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Fenced(FleetlineError):
    """Another worker holds the shard."""


def now_s() -> float:
    """Seconds since the machine began, those in which it slept included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """This worker's lease on its shard.

    Methods raise `Overloaded` when Redis is away, and when no replica has a lease that was taken
    and has to be on one (`replication`: see there, of the shard's primary).
    """

    def __init__(self, wire: Wire, keys: ShardKeys, replication: Replication) -> None:
        self._wire = wire
        self._keys = keys
        self._replication = replication
        self.me = Holder.of_this_process()
        self._confirmed_at_s = 0.0
        # The number of the fence that belongs to this lease; empty: a full Redis gave none.
        self.fence = b""
        # That of the lease which is where it has to be; None: none is yet.
        self._copied: bytes | None = None

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
        step = FENCE_STEP + secrets.randbits(_FENCE_RANDOM_BITS)
        take: Command = ("EVAL", _TAKE, 2, *keys, str(self.me), TTL_S, dead, step)
        holder, fence = await self._wire.send(*take)
        if not holder:
            if fence != self._copied:
                await self._copy(take, fence)
            self._confirmed_at_s = asked_at_s
            self.fence = fence
        # What somebody else wrote there need not be text.
        name: str = holder.decode("utf-8", "replace")
        return name

    async def _copy(self, take: Command, fence: bytes) -> None:
        """Let a replica have the lease that was just taken, if it has to be on one."""
        replication = self._replication
        if replication.waits:
            # A user who may not ask: what is expected of the server decides.
            with contextlib.suppress(hiredis.ReplyError):
                replication.saw(following(await self._wire.send("INFO", "replication")))
        if replication.copies:
            # In one piece, since WAIT is about what this very connection wrote; taken again, the
            # lease is only renewed.
            wait: Command = ("WAIT", replication.copies, REPLICA_TIMEOUT_MS)
            taken, copies = await self._wire.pipeline((take, wait))
            if taken != [b"", fence] or copies < replication.copies:
                raise Overloaded("no replica of Redis has the lease on the shard in time")
        self._copied = fence
