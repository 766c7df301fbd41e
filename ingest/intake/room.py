"""How many fixes may still wait in the shards of one Redis, and how long that lasts. Pure.

Two bounds hold at once: BACKLOG_MAX for each shard, in fixes, and the memory of the server, which
its shards share. The first is the operator's; the second is there anyway. A fix's bytes are not
counted one by one: what the server's memory grew by is divided by the fixes that came to wait.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from common.stream.memory import RedisMemory

# Bytes of memory that a waiting fix takes, until it is known: as measured (docs/scale.md), rounded
# up.
FIX_BYTES = 300
# What is measured is held between these: other things grow, too, while fixes wait.
FIX_BYTES_MIN, FIX_BYTES_MAX = 150, 1500
# So many fixes must have come to wait before what they take is divided by them: some MB, beside
# which buffers of connections are noise.
MEASURED_FIXES_MIN = 20_000
# The pace is that of so many seconds: shorter, and a burst is an alarm.
PACE_S = 60.0
# Fixes that may wait in a shard however full its server is, since so many are under way to the
# database when all is well. A server that is full of other things still takes fixes until it
# refuses them itself: nothing that drains would make room.
UNDER_WAY = 2000


class BacklogPace(NamedTuple):
    """Fixes a second in the last minute: by how many more wait, and how many came."""

    growth: float = 0.0
    arrivals: float = 0.0


class ShardLook(NamedTuple):
    """One shard: fixes that wait, those that it still takes (`Capacity`), and its pace."""

    waiting: int
    left: int
    pace: BacklogPace


class ShardRoom(NamedTuple):
    """Fixes that a shard still takes, and how many seconds that lasts; infinite: for ever.

    `lasts_s` is at the present pace; `outage_s` if nothing were stored from now on.
    """

    fixes: int
    lasts_s: float
    outage_s: float


class ServerRoom(NamedTuple):
    """One Redis: its shards and, in the same order, their rooms; its memory, if it says so."""

    shards: Sequence[int]
    rooms: Sequence[ShardRoom]
    memory: RedisMemory | None
    fix_bytes: int


class _MemoryLook(NamedTuple):
    at_s: float
    used_bytes: int
    waiting: int


class ServerMemory:
    """What one server says of its memory. Times are monotonic seconds."""

    def __init__(self) -> None:
        self.memory: RedisMemory | None = None
        self.fix_bytes = FIX_BYTES
        # The looks of the last PACE_S seconds.
        self._looks: deque[_MemoryLook] = deque()

    def look(self, now_s: float, memory: RedisMemory | None, waiting: int) -> None:
        """The memory as it is now, None where it may not be asked for, and the fixes that wait."""
        self.memory = memory
        if memory is None:
            return
        looks = self._looks
        looks.append(_MemoryLook(now_s, memory.used_bytes, waiting))
        while len(looks) > 2 and looks[1].at_s <= now_s - PACE_S:
            looks.popleft()
        fixes = waiting - looks[0].waiting
        if fixes >= MEASURED_FIXES_MIN:
            a_fix = math.ceil((memory.used_bytes - looks[0].used_bytes) / fixes)
            self.fix_bytes = max(FIX_BYTES_MIN, min(a_fix, FIX_BYTES_MAX))

    def fixes(self) -> int | None:
        """Fixes that there is memory for, in all shards together; None: no bound is known."""
        room_bytes = None if self.memory is None else self.memory.room_bytes
        return None if room_bytes is None else room_bytes // self.fix_bytes


def share_of(fixes: int | None, shards: int) -> int | None:
    """What each of a server's shards may take of the `fixes` that it has memory for."""
    return None if fixes is None or not shards else fixes // shards


def room_of(waiting: int, fixes_max: int, share: int | None) -> int:
    """Fixes that a shard still takes while so many wait in it; none below 1."""
    room = fixes_max - waiting
    return room if share is None else min(room, max(share, UNDER_WAY - waiting))


def rooms_of(
    shards: Sequence[ShardLook], fixes_max: int, fixes: int | None, *, refuses: bool = False
) -> list[ShardRoom]:
    """The rooms of a server's shards; `fixes`: what it has memory for, in all of them together.

    One that `refuses` every write takes none, whatever is thought to be left.
    The share of a shard grows as others leave theirs, so memory lasts as long for all of them.
    """
    lasts_s = outage_s = math.inf
    if fixes is not None:
        left = max(fixes, sum(max(0, UNDER_WAY - shard.waiting) for shard in shards))
        lasts_s = _seconds(left, sum(shard.pace.growth for shard in shards))
        outage_s = _seconds(left, sum(shard.pace.arrivals for shard in shards))
    rooms = []
    for shard in shards:
        if refuses or shard.left < 1:
            rooms.append(ShardRoom(0, 0.0, 0.0))
            continue
        by_number = fixes_max - shard.waiting
        rooms.append(
            ShardRoom(
                shard.left,
                min(lasts_s, _seconds(by_number, shard.pace.growth)),
                min(outage_s, _seconds(by_number, shard.pace.arrivals)),
            )
        )
    return rooms


def _seconds(fixes: float, pace: float) -> float:
    if fixes <= 0:
        return 0.0
    return fixes / pace if pace > 0 else math.inf
