"""Drivers on the map: newest position, geo index, expiry, and the operators' fleet channel.

State that Redis refuses (full memory) is kept, newest per driver, and written as soon as Redis
takes it. All of it is fenced: a writer that lost the shard changes nothing (`WriteFence`).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from itertools import islice

import hiredis

from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire, is_full
from common.shards import Shard
from consumers.live.earlier import EarlierPositions
from consumers.live.moves import (
    Moves,
    driver_moves,
    drop_oldest,
    epoch_ms,
    fleet_message,
    state_commands,
    time_of,
)
from consumers.live.newest import Newest
from consumers.live.write import LiveWrite
from consumers.live.write_fence import WriteFence
from consumers.stream.entry import PlacedEvent

# Drivers that expire in one step: bounds how long a step holds up Redis.
EXPIRE_AT_ONCE = 1000

_EXPIRE = files(__package__).joinpath("expire.lua").read_text()


class DriverState:
    """The drivers of one shard. Methods that ask Redis raise `Overloaded`."""

    def __init__(
        self,
        wire: Wire,
        shard: Shard,
        nodes: Nodes,
        fence: WriteFence,
        earlier: EarlierPositions,
        *,
        names_max: int,
        location_ttl_s: int,
    ) -> None:
        self._wire = wire
        self._fence = fence
        self._earlier = earlier
        self._publish, self._count_subscribers = nodes.publish, nodes.count_subscribers
        self._keys = shard.keys
        self._fleet = shard.keys.fleet
        self._names_max = names_max
        self._location_ttl = timedelta(seconds=location_ttl_s)
        self._newest = Newest(names_max)
        self._unwritten: Moves = {}
        self._refused = Repeated(get("live"), "live.refused")
        # Whether Redis had no room for the last write: it takes nothing that is fenced then.
        self._full = False
        # Whether anybody watches the whole fleet; asked now and then, see `ask_watched`.
        self._watched = False

    @property
    def unwritten(self) -> int:
        """Moves that Redis has not taken."""
        return len(self._unwritten)

    @property
    def is_fenced(self) -> bool:
        """Whether a write that is sent now would be this shard's writer's."""
        return self._fence.is_armed

    async def arm(self) -> None:
        """Be sure of the shard before something is written. Raises `Fenced`."""
        await self._fence.arm()

    async def learn(self, events: Sequence[PlacedEvent]) -> None:
        """Look up the drivers that are not known yet."""
        names = self._newest.unknown(placed.event.driver_id for placed in events)
        if names:
            values = await self._wire.send("HMGET", self._keys.live, *names)
            known = dict(zip(names, values, strict=True))
            known |= await self._earlier.read([n for n, value in known.items() if value is None])
            for name, value in known.items():
                self._newest.learn(name, time_of(value))

    def decide(self, events: Sequence[PlacedEvent]) -> Moves:
        """Driver → the event that moves it. Kept here until Redis has taken it."""
        moves = driver_moves(events, self._newest, datetime.now(UTC) - self._location_ttl)
        # A newer move takes the place of one that could not be written before.
        self._unwritten |= moves
        self._newest.trim()
        drop_oldest(self._unwritten, self._names_max)
        return moves

    def writing(self, moves: Moves, *then: Command) -> LiveWrite | None:
        """What writes and publishes these moves, with further commands behind.

        A full Redis refuses a transaction as a whole, so operators' maps get theirs beside it.
        """
        state = state_commands(moves, self._keys)
        fleet: list[Command] = []
        if self._watched and moves:
            fleet.append((self._publish, self._fleet, fleet_message(moves)))
        beside = fleet if self._full else []
        fenced = [*state, *([] if self._full else fleet), *then]
        if not fenced:
            return None
        commands = [*beside, *self._fence.around(fenced)]
        return LiveWrite(self._wire, commands, partial(self._take, moves, len(beside), len(state)))

    def rewriting(self, most: int) -> LiveWrite | None:
        """What writes up to `most` moves that Redis has not taken; None when there are none."""
        return self.writing(dict(islice(self._unwritten.items(), most)))

    def _take(self, moves: Moves, beside: int, states: int, replies: Sequence[Reply]) -> None:
        answers = self._fence.opened(replies[beside:])
        if answers is None:
            # Somebody else's by now, or the same writer's again: that is found out before the next.
            return
        errors = [r for r in answers[:states] if isinstance(r, hiredis.ReplyError)]
        if errors:
            self._full = is_full(errors[0])
            self._refused.failed(error=str(errors[0]), drivers=len(self._unwritten))
            return
        for name, placed in moves.items():
            if self._unwritten.get(name) is placed:
                del self._unwritten[name]
        if states:
            self._full = False
            self._refused.healed()

    async def expire(self) -> None:
        """Forget drivers whose newest position is older than LOCATION_TTL."""
        keys = self._keys
        before_ms = epoch_ms(datetime.now(UTC) - self._location_ttl)
        gone = EXPIRE_AT_ONCE
        while gone == EXPIRE_AT_ONCE:
            gone = await self._wire.send(
                *("EVAL", _EXPIRE, 3, keys.seen, keys.geo, keys.live),
                *(before_ms, EXPIRE_AT_ONCE),
            )

    async def ask_watched(self) -> None:
        """Ask whether anybody subscribes to the fleet; nobody pays for maps nobody looks at.

        A user who may not ask publishes for nobody in particular.
        """
        try:
            reply = await self._wire.send(*self._count_subscribers, self._fleet)
        except hiredis.ReplyError:
            self._watched = True
        else:
            self._watched = reply[1] > 0
