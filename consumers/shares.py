"""Shares of some work, divided among the processes that do it.

A share is held by an advisory lock of the very connection that writes its results: when the
connection is gone so is the lock, and nobody can write for a share that somebody else holds.
"""

from collections.abc import Collection
from math import ceil

import asyncpg


def to_give(held: Collection[int], processes: int, shares: int) -> list[int]:
    """Shares that one of `processes` should leave to the others."""
    return sorted(held)[ceil(shares / max(1, processes)) :]


class Shares:
    """The shares that a connection holds, of 0 up to `count`.

    `lock_class` is the first key of the advisory locks; the second is the share, or `count` for
    being present at all.
    """

    def __init__(self, connection: asyncpg.Connection, lock_class: int, count: int) -> None:
        self._connection = connection
        self._lock_class = lock_class
        self._count = count
        self.held: set[int] = set()
        self._present = False

    async def balance(self) -> set[int]:
        """Take what is free, up to a fair part, and give what is more than that."""
        ask = self._connection.fetchval
        if not self._present:
            await ask("SELECT pg_advisory_lock_shared($1, $2)", self._lock_class, self._count)
            self._present = True
        processes = await ask(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = $1"
            " AND objid = $2 AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())",
            self._lock_class,
            self._count,
        )
        for share in to_give(self.held, processes, self._count):
            await ask("SELECT pg_advisory_unlock($1, $2)", self._lock_class, share)
            self.held.discard(share)
        fair = ceil(self._count / max(1, processes))
        for share in range(self._count):
            if len(self.held) >= fair:
                break
            if share not in self.held and await ask(
                "SELECT pg_try_advisory_lock($1, $2)", self._lock_class, share
            ):
                self.held.add(share)
        return self.held

    async def leave(self) -> None:
        """Give all of them, and be present no more."""
        ask = self._connection.fetchval
        for share in sorted(self.held):
            await ask("SELECT pg_advisory_unlock($1, $2)", self._lock_class, share)
        self.held.clear()
        if self._present:
            await ask("SELECT pg_advisory_unlock_shared($1, $2)", self._lock_class, self._count)
            self._present = False
