"""Publishes what happened for the events' socket, in the order of the table `events`.

It follows the table, so it does not matter who recorded what: the engine, the API or the follower
of the history. How far it has published is stored behind the publishing; who takes over after a
crash publishes the last ones again. So each event reaches the channel at least once.
"""

import asyncio

import asyncpg

from common.events.record import COLUMNS, happening_of
from common.keys import EVENTS_CHANNEL
from common.redis.nodes import Nodes

CHANNEL = "fleetline_events"
# Any number that nothing else in the database uses: "publish" as bytes.
ADVISORY_KEY = 0x7075626C697368
# Events published at once, and the time between two full pages: ten thousand a second. A reader of
# the socket that keeps up with them is not swamped when a thousand visits end with their fence.
PAGE = 200
PAGE_GAP_S = 0.02
# How long it waits for a commit that says nothing; also for the publisher before it to go.
WAIT_S = 1.0

_AFTER = f"SELECT seq, {COLUMNS} FROM events WHERE seq > $1 ORDER BY seq LIMIT $2"  # noqa: S608


class EventPublisher:
    """Works over one connection, which also holds the lock that makes it the only one."""

    def __init__(self, connection: asyncpg.Connection, nodes: Nodes) -> None:
        self._connection = connection
        self._nodes = nodes
        self._wake = asyncio.Event()
        self.seq = 0

    async def begin(self) -> None:
        """Wait until nobody else publishes."""
        await self._connection.add_listener(CHANNEL, self._heard)
        while not await self._connection.fetchval("SELECT pg_try_advisory_lock($1)", ADVISORY_KEY):
            # Commits are the other one's business: only its end is waited for.
            self._wake.clear()
            await self.wait()
        self.seq = await self._connection.fetchval("SELECT seq FROM events_published")

    async def publish(self) -> int:
        """Publish what is new, up to a page; how many events that was.

        Raises what asyncpg, or `Wire.pipeline`, raises.
        """
        self._wake.clear()
        rows = await self._connection.fetch(_AFTER, self.seq, PAGE)
        if rows:
            publish = self._nodes.publish
            await self._nodes.key_wire(EVENTS_CHANNEL).pipeline(
                [(publish, EVENTS_CHANNEL, happening_of(row).encode()) for row in rows]
            )
            self.seq = rows[-1]["seq"]
            await self._connection.execute("UPDATE events_published SET seq = $1", self.seq)
        return len(rows)

    async def wait(self) -> None:
        """Wait for the next commit."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._wake.wait()
        except TimeoutError:
            # Somebody may have removed the trigger that wakes us: the table is looked at anyway.
            return

    def _heard(self, *_message: object) -> None:
        self._wake.set()
