"""Events into their shards' streams. Returns only once Redis has said that it has them.

Nothing is retried here: a reply that does not come leaves the outcome unknown, and the sender's
own retry is harmless because driver and time identify the fix.

What an entry looks like is decided in this file alone (`XADD … ENTRY_FIELD event`); the rate's
script writes the same and is told the field from here.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import hiredis
import msgspec

from common.errors import Overloaded
from common.keys import ENTRY_FIELD
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Command, Reply, Wire
from common.shards import Shard, Shards
from ingest.intake.capacity import Capacity
from ingest.intake.pace import Ask
from ingest.intake.per_driver import SCRIPT
from ingest.intake.validate import Fix

_SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What became of fixes that were added.

    `message_id` names the entry of a fix that was added alone. `limited` are the indexes of the
    fixes that were left out because their drivers send too fast; the sender has to send them
    again after `retry_after_s`.
    """

    message_id: bytes = b""
    limited: Sequence[int] = ()
    retry_after_s: int = 0


@dataclass(slots=True)
class _Parcel:
    """What leaves for one server in one piece: entries, and then asks (their places)."""

    entries: list[Command] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    asks: list[Command] = field(default_factory=list)


class StreamWriter:
    """Writes entries over one worker's connections, as far as there is capacity.

    `rate_terms` are what the rate's script is told of the rate (`Pace.terms`).
    """

    def __init__(
        self,
        nodes: Nodes,
        shards: Shards,
        capacity: Capacity,
        rate_terms: Sequence[str | int] = (),
    ) -> None:
        self._nodes = nodes
        self._shards = shards
        self._capacity = capacity
        self._terms = (*rate_terms, ENTRY_FIELD)
        self._prefixes = [b"%d-" % shard.index for shard in shards]
        self._refusals = Repeated(get("ingest"), "redis.refused")
        self._unscripted = Repeated(get("ingest"), "rate.local")

    def message_id(self, driver_id: str, entry_id: bytes) -> bytes:
        """How an entry of the driver's shard is named to its sender."""
        return self._prefixes[self._shards.of(driver_id).index] + entry_id

    async def write_one(self, driver_id: str, event: bytes) -> Receipt:
        """Write one event. Raises `Overloaded`."""
        shard = self._shards.of(driver_id)
        index = shard.index
        self._capacity.reserve(index)
        try:
            entry_id: bytes = await self._nodes.wire(shard).send(
                "XADD", shard.keys.stream, "*", ENTRY_FIELD, event
            )
        except hiredis.ReplyError as e:
            raise self._refused(e) from e
        self._refusals.healed()
        return Receipt(self._prefixes[index] + entry_id)

    async def write(
        self, fixes: Sequence[Fix], asks: Sequence[Ask] = (), *, whole: bool = False
    ) -> Sequence[Reply]:
        """Write `fixes`, each driver's in their order, and put `asks` to the rate's script.

        Returns the script's replies to `asks`; an error among them means that it did nothing.
        Raises `Overloaded` when one of `fixes` is not known to be in its stream, and when a shard
        is full: nothing is written then.
        """
        of = self._shards.of
        entries: list[list[Command]] = [[] for _ in self._prefixes]
        for driver_id, event in fixes:
            shard = of(driver_id)
            entries[shard.index].append(("XADD", shard.keys.stream, "*", ENTRY_FIELD, event))
        counts = [len(each) for each in entries]
        for ask in asks:
            counts[of(ask.driver_id).index] += len(ask.events)
        self._capacity.reserve_all(counts)

        parcels: dict[Wire, _Parcel] = {}
        for shard, each in zip(self._shards, entries, strict=True):
            if each:
                parcels.setdefault(self._nodes.wire(shard), _Parcel()).entries += each
        for place, ask in enumerate(asks):
            shard = of(ask.driver_id)
            parcel = parcels.setdefault(self._nodes.wire(shard), _Parcel())
            parcel.places.append(place)
            parcel.asks.append(self._script(shard, ask, whole=whole))
        if len(parcels) == 1:
            # The usual case: one server, whose replies stand in the order of `asks`.
            [(wire, parcel)] = parcels.items()
            return await self._send(wire, parcel)
        replies: list[Reply] = [None] * len(asks)
        sent = await asyncio.gather(*(self._send(*each) for each in parcels.items()))
        for parcel, answers in zip(parcels.values(), sent, strict=True):
            for place, reply in zip(parcel.places, answers, strict=True):
                replies[place] = reply
        return replies

    async def _send(self, wire: Wire, parcel: _Parcel) -> list[Reply]:
        """Send a parcel; the replies to its asks. Raises `Overloaded` for a refused entry."""
        count = len(parcel.entries)
        replies = await wire.pipeline_raw([*parcel.entries, *parcel.asks])
        for reply in replies[:count]:
            if isinstance(reply, hiredis.ReplyError):
                raise self._refused(reply)
        self._refusals.healed()
        answers = replies[count:]
        unknown = [place for place, reply in enumerate(answers) if _is_unknown_script(reply)]
        if unknown:
            # A server that was restarted. EVAL also makes it remember the script.
            again = [("EVAL", SCRIPT, *parcel.asks[place][2:]) for place in unknown]
            for place, reply in zip(unknown, await wire.pipeline_raw(again), strict=True):
                answers[place] = reply
        for reply in answers:
            if isinstance(reply, hiredis.ReplyError):
                self._unscripted.failed(error=str(reply))
                break
        else:
            self._unscripted.healed()
        return answers

    def _script(self, shard: Shard, ask: Ask, *, whole: bool) -> Command:
        keys = (shard.keys.rate + ask.driver_id, shard.keys.stream)
        return ("EVALSHA", _SHA, len(keys), *keys, int(whole), *self._terms, *ask.events)

    def _refused(self, error: hiredis.ReplyError) -> Overloaded:
        self._refusals.failed(error=str(error))
        return Overloaded("Redis does not take entries now")


def _is_unknown_script(reply: Reply) -> bool:
    return isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
