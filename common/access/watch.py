"""Keeps a gate's lists as they are in Redis: keys and revocations take effect within two seconds.

Every change of them counts up one number; only when that moved are the lists read. While Redis
does not answer the last known lists stay in force. Uses of keys are written here too, off the
hot path and at most once a minute.
"""

import asyncio
import time
from collections.abc import Callable

import hiredis

from common import keys
from common.access.api_key import read_records
from common.access.gate import Gate, Lists
from common.errors import Overloaded
from common.log import Repeated, get
from common.processes.background import spawn
from common.redis.nodes import Nodes
from common.redis.wire import Reply, Wire

# Half of what is promised; the other half is for a slow reply.
POLL_EVERY_S = 1.0
# The lists are read again this often even if the number stands: after a restore it may repeat.
REREAD_EVERY_S = 60.0
USES_EVERY_S = 60.0


class AccessWatch:
    """Polls between `start` and `stop`; `changed` is called after each replacement."""

    def __init__(
        self, nodes: Nodes, gate: Gate, changed: Callable[[], None] = lambda: None
    ) -> None:
        self._nodes = nodes
        self._gate = gate
        self._changed = changed
        self._seen: Reply = b""
        self._read_at = float("-inf")
        self._uses_written_at = time.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._trouble = Repeated(get("access"), "access.unread")
        self._malformed = Repeated(get("access"), "access.revocation_malformed")

    @property
    def _wire(self) -> Wire:
        # The lists share a slot.
        return self._nodes.key_wire(keys.ACCESS_VERSION)

    async def start(self) -> None:
        """Read once, then keep reading."""
        await self.poll()
        self._task = spawn(self._run(), name="access")

    async def stop(self) -> None:
        """End the polling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            await self.poll()

    async def poll(self) -> None:
        """Look once."""
        try:
            version = await self._wire.send("GET", keys.ACCESS_VERSION)
            now = time.monotonic()
            if version != self._seen or now - self._read_at >= REREAD_EVERY_S:
                await self._read(now)
            if now - self._uses_written_at >= USES_EVERY_S:
                self._uses_written_at = now
                await self._write_uses()
        except (Overloaded, hiredis.ReplyError) as e:
            self._trouble.failed(error=str(e))
        else:
            self._trouble.healed()

    async def _read(self, now: float) -> None:
        # The number comes first: a change after it is seen at the next look.
        version, records, revoked = await self._wire.pipeline(
            [
                ("GET", keys.ACCESS_VERSION),
                ("HGETALL", keys.ACCESS_KEYS),
                ("HGETALL", keys.ACCESS_REVOKED),
            ]
        )
        lists = Lists(
            keys=read_records(_pairs(records)),
            revoked=self._read_revocations(_pairs(revoked)),
        )
        self._gate.replace(lists)
        self._seen, self._read_at = version, now
        self._changed()

    def _read_revocations(self, stored: dict[bytes, bytes]) -> dict[str, float]:
        """Revocations by name; one that cannot be read is said and holds up none of the others."""
        revoked: dict[str, float] = {}
        for name, at in stored.items():
            try:
                revoked[name.decode()] = float(at)
            except ValueError:
                self._malformed.failed(revocation=repr(name), value=repr(at))
        if len(revoked) == len(stored):
            self._malformed.healed()
        return revoked

    async def _write_uses(self) -> None:
        used, self._gate.used = self._gate.used, {}
        if used:
            flat = [part for key_id, at in used.items() for part in (key_id, f"{at:.0f}")]
            await self._wire.send("HSET", keys.ACCESS_USED, *flat)


def _pairs(reply: Reply) -> dict[bytes, bytes]:
    return dict(zip(reply[::2], reply[1::2], strict=True))
