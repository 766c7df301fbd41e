"""The live stage's own place in the stream, kept in Redis with what it writes.

Reading again is harmless: newest wins. So the cursor need not be exact, and a write that Redis
refuses because it is full is not tried again. Beside it stands how often a worker has begun with a
page and died before it had written it, what it tried in parts then, and the fixes that were given
up because of that.
"""

import asyncio
import contextlib
from collections.abc import Sequence

import hiredis

from common.keys import ShardKeys
from common.log import get
from common.redis.wire import Argument, Command, Reply, Wire, is_full
from consumers.stream.entry import read_id
from consumers.stream.groups import START, is_beyond, is_key_missing, live_start
from consumers.stream.poison.trial import Trial, read_trial
from consumers.stream.trim import oldest_needed

# Fixes given up that are remembered for the history, which dead-letters them: the newest.
KILLERS_MAX = 256

_log = get("cursor")


class LiveCursor:
    """The cursor of one stream. `reads` is a connection of its own: reads block it."""

    def __init__(self, reads: Wire, wire: Wire, keys: ShardKeys, *, groups: Sequence[str]) -> None:
        self._reads = reads
        self._wire = wire
        self._keys = keys
        self._groups = groups
        # The live stage has read through this id.
        self.through = START
        # Names of the positions that were given up because the process died of them.
        self.killers: tuple[bytes, ...] = ()
        # What is tried in parts, or was by a predecessor.
        self.trial: Trial | None = None

    async def load(self) -> int:
        """Find the place to begin. Returns how often a page was begun there and not survived.

        Raises `Overloaded` or `hiredis.ReplyError`.
        """
        saved, begun, killers, trial = await self._wire.send(
            "HMGET", self._keys.cursor, "id", "begun", "killer", "trial"
        )
        self.killers = tuple((killers or b"").split())
        self.trial = read_trial(trial)
        saved, needed = read_id(saved), None
        if saved is None:
            needed = await oldest_needed(self._wire, self._keys.stream, self._groups)
        last_generated = None
        with contextlib.suppress(hiredis.ReplyError):
            # Not every server lets everybody ask.
            last_generated = await self._last_generated()
        self.through = live_start(saved, needed, last_generated)
        if begun is not None and not begun.isdigit():
            # Nothing can be added to rubbish.
            await self.clear_begun()
            return 0
        return int(begun or 0)

    async def count_begin(self) -> None:
        """Count that a page is begun. Raises `Overloaded` or `hiredis.ReplyError`."""
        await self._unless_full("HINCRBY", self._keys.cursor, "begun", 1)

    async def clear_begun(self) -> None:
        """No page is suspected any more. Raises `Overloaded` or `hiredis.ReplyError`."""
        await self._unless_full("HSET", self._keys.cursor, "begun", 0)

    async def begin_trial(self, trial: Trial) -> None:
        """Keep what is about to be tried. Raises `Overloaded` or `hiredis.ReplyError`."""
        # In this process it is survived, whatever comes of the write.
        self.trial = trial
        begun = trial._replace(begun=True)
        await self._unless_full("HSET", self._keys.cursor, "trial", begun.record)

    async def end_trial(self, trial: Trial, given_up: Sequence[bytes]) -> None:
        """Pass an entry whose fixes were all tried; `given_up` names those that kill.

        Raises `Overloaded` or `hiredis.ReplyError`.
        """
        killers = (*self.killers, *given_up)[-KILLERS_MAX:]
        await self._unless_full(
            *("HSET", self._keys.cursor, "id", trial.entry_id),
            *("killer", b" ".join(killers), "trial", b""),
        )
        self.through, self.killers, self.trial = trial.entry_id, killers, None
        for name in given_up:
            _log.error("live.gave_up", stream=self._keys.stream, id=name.decode())

    async def _unless_full(self, *command: Argument) -> None:
        try:
            await self._wire.send(*command)
        except hiredis.ReplyError as e:
            if not is_full(e):
                raise

    def begin_read(self, after: bytes, count: int, block_ms: int) -> asyncio.Future[Reply]:
        """Ask for up to `count` entries after an id, waiting up to `block_ms` for the first."""
        block = ("BLOCK", block_ms) if block_ms else ()
        return self._reads.send(
            *("XREAD", "COUNT", count, *block), *("STREAMS", self._keys.stream, after)
        )

    def saving(self, through: bytes, *, survived: bool) -> Command:
        """The command that keeps the cursor; to be sent behind what was made of the entries."""
        begun = ("begun", 0) if survived else ()
        return ("HSET", self._keys.cursor, "id", through, *begun)

    async def checked(self) -> bytes:
        """The id through which the live stage has read this stream; nothing when it began anew.

        After a flush new ids may be smaller than the cursor: it is rewound then. Raises
        `Overloaded`. A Redis that does not say is believed to be the same.
        """
        # As of before the question: the live stage may read on meanwhile.
        through = self.through
        with contextlib.suppress(hiredis.ReplyError):
            if is_beyond(through, await self._last_generated()):
                _log.warning("cursor.rewound", stream=self._keys.stream)
                self.through = through = START
        return through

    async def _last_generated(self) -> bytes:
        try:
            facts = await self._wire.send("XINFO", "STREAM", self._keys.stream)
        except hiredis.ReplyError as e:
            if not is_key_missing(e):
                raise
            return START
        last: bytes = dict(zip(facts[::2], facts[1::2], strict=True))[b"last-generated-id"]
        return last
