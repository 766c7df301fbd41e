"""How full a Redis is, from what it says of itself (INFO memory). Pure.

Full, a Redis that evicts nothing refuses every write: new fixes, and also live positions, marks of
orders and revocations. So what only waits has to leave a part of the memory to the rest.
"""

from typing import NamedTuple

# Of the limit, what waiting fixes leave to everything else: live positions of new drivers, orders,
# and what arrives between two looks (a second of 25,000 fixes is 8 MB). Less, and a long outage of
# the database ends live tracking; more is memory that nobody uses.
RESERVE_SHARE = 0.1
# What that has to be at least: replies that are on their way to readers count, too, and a page of
# a stream is some MB. Of a server so small that this were most of it, a share.
RESERVE_BYTES, RESERVE_SHARE_MAX = 32 * 1_048_576, 0.25
# Of the machine's memory, the limit of a server that has none: the rest is for pages that are
# copied while its log is rewritten.
UNSET_SHARE = 0.5


class RedisMemory(NamedTuple):
    """Bytes that count towards the limit, and the limit; 0: none is known.

    `enforced`: the server itself refuses writes beyond it.
    """

    used_bytes: int
    limit_bytes: int
    enforced: bool = True

    @property
    def fullness(self) -> float:
        """Share of the limit that is used; 0 without a limit."""
        return self.used_bytes / self.limit_bytes if self.limit_bytes else 0.0

    @property
    def refuses(self) -> bool:
        """Whether every write is refused now."""
        return self.enforced and 0 < self.limit_bytes < self.used_bytes

    @property
    def room_bytes(self) -> int | None:
        """What waiting fixes may still take, below 0 when they take too much; None: no limit."""
        if not self.limit_bytes:
            return None
        return self.limit_bytes - reserve_bytes(self.limit_bytes) - self.used_bytes


def reserve_bytes(limit: int) -> int:
    """What waiting fixes leave of such a limit."""
    return max(int(limit * RESERVE_SHARE), min(RESERVE_BYTES, int(limit * RESERVE_SHARE_MAX)))


def read_memory(info: bytes) -> RedisMemory:
    """From the reply to INFO memory. Without `maxmemory` a share of the machine is the limit."""
    facts = dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)

    def number(name: bytes) -> int:
        return int(facts.get(name, 0))

    # Buffers of replicas and of the log do not count: the server would evict its data for them.
    used = number(b"used_memory") - number(b"mem_not_counted_for_evict")
    set_limit = number(b"maxmemory")
    limit = set_limit or int(number(b"total_system_memory") * UNSET_SHARE)
    return RedisMemory(max(0, used), limit, enforced=bool(set_limit))
