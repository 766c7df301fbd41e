"""Whether a write must be on a replica before it counts: the rule of REPLICATION. Pure.

A primary that dies takes with it what its replica had not received: with a replica that lags,
thousands of accepted fixes, or the lease on a shard, which a second writer takes then. So a write
of fixes and the taking of a lease wait until one replica has them (WAIT, by way of memory: the
local disk has them anyway). `min-replicas-to-write` is no answer, since a replica that is cut off
counts for seconds, and WAITAOF for replicas takes a second.

`off` waits for none. `strict` takes nothing while no replica has it. `auto` takes what the local
disk has while no replica is connected, loudly; a replica that is connected and does not answer
makes it refuse, as in a network that is split.
"""

from collections.abc import Callable
from enum import StrEnum

# Longest wait for a replica, which then is not there. Nothing else leaves on a connection that
# waits, and the requests behind it have to be answered within their reply timeout.
REPLICA_TIMEOUT_MS = 500


class Mode(StrEnum):
    """The values of REPLICATION."""

    AUTO = "auto"
    STRICT = "strict"
    OFF = "off"


class Replication:
    """Of one primary. `expected`: whether its system is made to have replicas.

    `changed` is told whenever it begins or ceases to lack one.
    """

    def __init__(
        self, mode: Mode, *, expected: bool, changed: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._mode = mode
        self._expected = expected
        self._changed = changed
        # Replicas that follow, as the primary said last; None before it said anything.
        self.connected: int | None = None
        self.lacking = False

    @property
    def waits(self) -> bool:
        """Whether it matters how many replicas follow."""
        return self._mode is not Mode.OFF

    @property
    def copies(self) -> int:
        """On how many replicas the next write has to be."""
        if self._mode is Mode.OFF:
            return 0
        if self._mode is Mode.STRICT:
            return 1
        if self.connected is None:
            return int(self._expected)
        return min(self.connected, 1)

    def saw(self, connected: int) -> None:
        """The primary says that so many replicas follow it."""
        self.connected = connected
        if connected:
            self._expected = True
        lacking = self.waits and self._expected and not connected
        if lacking != self.lacking:
            self.lacking = lacking
            self._changed(lacking)


def following(info: bytes) -> int:
    """How many replicas follow, from INFO replication; one that still loads does not yet."""
    lines = info.split(b"\r\n")
    if not any(line.startswith(b"role:master") for line in lines):
        return 0
    return sum(1 for line in lines if line.startswith(b"slave") and b",state=online," in line)
