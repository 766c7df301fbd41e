"""Which share a driver belongs to, and which shares this process works on.

A share is held by an advisory lock of the very connection that writes its results: when the
connection is gone so is the lock, and nobody can write for a share that somebody else holds.
"""

from collections.abc import Collection
from math import ceil
from zlib import crc32

import asyncpg

# More than any machine wants processes for this; changing it makes the shares in the tables wrong.
SHARES = 16
# First key of the advisory locks: "insi" as bytes. The second is the share, or PRESENCE.
LOCK_CLASS = 0x696E7369
PRESENCE = SHARES


def share_of(driver_id: str) -> int:
    """The share of a driver: stable across processes and releases."""
    return crc32(driver_id.encode()) % SHARES


def to_give(held: Collection[int], processes: int) -> list[int]:
    """Shares that one of `processes` should leave to the others."""
    fair = ceil(SHARES / max(1, processes))
    return sorted(held)[fair:]


class Shares:
    """The shares that a connection holds; `lock_class` says of what."""

    def __init__(self, connection: asyncpg.Connection, lock_class: int = LOCK_CLASS) -> None:
        self._connection = connection
        self._lock_class = lock_class
        self.held: set[int] = set()
        self._present = False

    async def balance(self) -> set[int]:
        """Take what is free, up to a fair part, and give what is more than that."""
        ask = self._connection.fetchval
        if not self._present:
            await ask("SELECT pg_advisory_lock_shared($1, $2)", self._lock_class, PRESENCE)
            self._present = True
        processes = await ask(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1"
            " AND objid = $2 AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())",
            self._lock_class,
            PRESENCE,
        )
        for share in to_give(self.held, processes):
            await ask("SELECT pg_advisory_unlock($1, $2)", self._lock_class, share)
            self.held.discard(share)
        fair = ceil(SHARES / max(1, processes))
        for share in range(SHARES):
            if len(self.held) >= fair:
                break
            if share not in self.held and await ask(
                "SELECT pg_try_advisory_lock($1, $2)", self._lock_class, share
            ):
                self.held.add(share)
        return self.held
