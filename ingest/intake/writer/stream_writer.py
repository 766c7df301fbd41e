"""Events into their shards' streams. Returns only once Redis has said that it has them.

Nothing is retried here: a reply that does not come leaves the outcome unknown, and the sender's
own retry is harmless because driver and time identify the fix.

What an entry looks like is decided in `gathering.py` and `common.stream.pack`; the rate's script
writes the same and is told the field and the bounds from here.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import hiredis
import msgspec

from common.keys import ENTRY_FIELD
from common.log import Repeated, get
from common.redis.url import Command
from common.redis.wire import Reply
from common.shards import Shard, Shards
from common.stream.backlog import ADDED
from common.stream.pack import BYTES_MAX, EVENTS_MAX
from ingest.intake.capacity import Capacity
from ingest.intake.pace import Ask
from ingest.intake.per_driver import SCRIPT
from ingest.intake.validate import Fix
from ingest.intake.writer.turns import Turns
from ingest.intake.writer.write_turns import Asked, Portion, WriteTurns

_SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()
# What the script is told of entries, behind the rate's terms and before the events.
_ENTRY_TERMS = (ENTRY_FIELD, ADDED, EVENTS_MAX, BYTES_MAX)


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What became of fixes that were added.

    `message_id` names the position of a fix that was added alone: its shard, its entry and, where
    others share the entry, its place. `limited` are the indexes of the fixes that were left out
    because their drivers send too fast; the sender has to send them again after `retry_after_s`.
    """

    message_id: bytes = b""
    limited: Sequence[int] = ()
    retry_after_s: int = 0


@dataclass(slots=True)
class _Parcel:
    """What goes to one server: events by shard, and then asks with their places."""

    portions: list[Portion] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    asks: list[Asked] = field(default_factory=list)


class StreamWriter:
    """Writes events by the turns of their servers, as far as there is capacity.

    `rate_terms` are what the rate's script is told of the rate (`FixPace.terms`).
    """

    def __init__(
        self,
        turns: Turns,
        shards: Shards,
        capacity: Capacity,
        rate_terms: Sequence[str | int] = (),
    ) -> None:
        self._turns = turns.of
        self._shards = shards
        self._capacity = capacity
        self._terms = (*rate_terms, *_ENTRY_TERMS)
        self._unscripted = Repeated(get("ingest"), "rate.local")

    def adopt(self, shards: Shards) -> None:
        """Other shards are written from now on. The turns know them already."""
        self._shards = shards

    def message_id(self, driver_id: str, entry_id: bytes) -> bytes:
        """How an entry of one event, in the driver's shard, is named to its sender."""
        return b"%d-%b" % (self._shards.of(driver_id).index, entry_id)

    def write_one(self, driver_id: str, event: bytes) -> asyncio.Future[bytes]:
        """Write one event; its position. Raises `Overloaded` here or from the future."""
        index = self._shards.of(driver_id).index
        self._capacity.reserve(index)
        return self._turns[index].add_one(index, event)

    async def write(
        self, fixes: Sequence[Fix], asks: Sequence[Ask] = (), *, whole: bool = False
    ) -> Sequence[Reply]:
        """Write `fixes`, each driver's in their order, and put `asks` to the rate's script.

        Returns the script's replies to `asks`; an error among them means that it did nothing.
        Raises `Overloaded` when one of `fixes` is not known to be in its stream, and when a shard
        is full: nothing is written then.
        """
        of = self._shards.of
        portions: list[list[bytes]] = [[] for _ in self._turns]
        for driver_id, event in fixes:
            portions[of(driver_id).index].append(event)
        counts = [len(events) for events in portions]
        for ask in asks:
            counts[of(ask.driver_id).index] += len(ask.events)
        self._capacity.reserve_all(counts)

        parcels: dict[WriteTurns, _Parcel] = {}
        for index, events in enumerate(portions):
            if events:
                parcel = parcels.setdefault(self._turns[index], _Parcel())
                parcel.portions.append((index, events))
        for place, ask in enumerate(asks):
            shard = of(ask.driver_id)
            parcel = parcels.setdefault(self._turns[shard.index], _Parcel())
            parcel.places.append(place)
            parcel.asks.append((shard.index, ask.events, self._script(shard, ask, whole=whole)))
        if len(parcels) == 1:
            # The usual case: one server, whose replies stand in the order of `asks`.
            [(turns, parcel)] = parcels.items()
            return await self._send(turns, parcel)
        replies: list[Reply] = [None] * len(asks)
        sent = await asyncio.gather(*(self._send(*each) for each in parcels.items()))
        for parcel, answers in zip(parcels.values(), sent, strict=True):
            for place, reply in zip(parcel.places, answers, strict=True):
                replies[place] = reply
        return replies

    async def _send(self, turns: WriteTurns, parcel: _Parcel) -> list[Reply]:
        """Send a parcel; the replies to its asks. Raises `Overloaded` for a refused event."""
        answers = await turns.add(parcel.portions, parcel.asks)
        if not answers:
            return answers
        unknown = [place for place, reply in enumerate(answers) if _is_unknown_script(reply)]
        if unknown:
            # A server that was restarted. EVAL also makes it remember the script.
            again = await turns.add((), [_evaluated(parcel.asks[place]) for place in unknown])
            for place, reply in zip(unknown, again, strict=True):
                answers[place] = reply
        for reply in answers:
            if isinstance(reply, hiredis.ReplyError):
                self._unscripted.failed(error=str(reply))
                break
        else:
            self._unscripted.healed()
        return answers

    def _script(self, shard: Shard, ask: Ask, *, whole: bool) -> Command:
        keys = (shard.keys.rate + ask.driver_id, shard.keys.stream, shard.keys.counts)
        return ("EVALSHA", _SHA, len(keys), *keys, int(whole), *self._terms, *ask.events)


def _evaluated(ask: Asked) -> Asked:
    index, events, command = ask
    return index, events, ("EVAL", SCRIPT, *command[2:])


def _is_unknown_script(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
