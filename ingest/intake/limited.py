"""A producer that holds every driver to its rate, in the round trip that stores its fixes.

Falls back to this worker's own count when Redis cannot run the script (full, or scripts are
forbidden there): the plain XADD that follows decides alone whether a fix is accepted.
"""

import hashlib
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hiredis

from common.keys import ENTRY_FIELD, rate_prefix, shard_of
from common.log import Repeated, get
from common.redis.wire import Command, Reply, Wire
from ingest.intake.backlog import Rooms
from ingest.intake.producer import NO_SURPLUS, Events, Producer, Surplus
from ingest.intake.rate import SCRIPT, Limit, Rates, retry_after_s

_SHA = hashlib.sha1(SCRIPT, usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class _Question:
    """One driver's fixes for the script: their places in the body, and their events."""

    driver_id: str
    shard: int
    places: Sequence[int]
    events: Sequence[bytes]
    # 1: all of them or none.
    whole: int = 0


class LimitedProducer(Producer):
    """Adds events as far as their drivers' rates allow."""

    def __init__(
        self, wire: Wire, rooms: Rooms, stream_name: str, shards: int, limit: Limit
    ) -> None:
        super().__init__(wire, rooms, stream_name, shards)
        self.rates = Rates(limit)
        self._rate_prefixes = [rate_prefix(shard) for shard in range(shards)]
        interval_us = limit.interval_us
        terms = (limit.lease, f"{interval_us:.3f}", f"{limit.burst * interval_us:.3f}")
        self._terms = (*terms, ENTRY_FIELD)
        self._unscripted = Repeated(get("ingest"), "rate.local")

    def require_pace(self, driver_id: str) -> None:
        """Raise `Refused` (429) while the driver's next fix is known not to be due."""
        if wait_s := self.rates.known_wait_s(driver_id):
            raise self.rates.too_fast(wait_s)

    def add(self, driver_id: str, event: bytes) -> Coroutine[Any, Any, bytes]:
        """Add one event; its message id. Raises `Refused` (429), `Overloaded` when awaited."""
        if self.rates.spend(driver_id):
            return super().add(driver_id, event)
        return self._add_asking(driver_id, event)

    async def _add_asking(self, driver_id: str, event: bytes) -> bytes:
        rates = self.rates
        if wait_s := rates.wait_s(driver_id):
            raise rates.too_fast(wait_s)
        shard = shard_of(driver_id, self._shards)
        self._rooms.take(shard)
        [reply] = await self._ask([], [_Question(driver_id, shard, (0,), (event,))])
        if isinstance(reply, hiredis.ReplyError):
            if not rates.take_locally(driver_id, 1):
                raise rates.too_fast(1 / rates.limit.fixes_per_s)
            return await super().add(driver_id, event)
        added, leased, wait_us, entry_id = reply
        rates.note(driver_id, leased=leased, refused_us=None if added else wait_us)
        if not added:
            raise rates.too_fast(wait_us / 1_000_000)
        return self._prefixes[shard] + bytes(entry_id)

    async def add_many(self, events: Events) -> Surplus:
        """Add (driver id, event) pairs, each driver's in their order, as far as its rate allows.

        Raises `Overloaded` when not all that may be added are known to be in their streams, and
        `Refused` (429) when none may.
        """
        spend, shards, streams = self.rates.spend, self._shards, self._streams
        commands: list[Command] = []
        counts = [0] * shards
        short: dict[str, list[int]] = {}
        for place, (driver_id, event) in enumerate(events):
            if driver_id not in short and spend(driver_id):
                shard = shard_of(driver_id, shards)
                counts[shard] += 1
                commands.append(("XADD", streams[shard], "*", ENTRY_FIELD, event))
            else:
                short.setdefault(driver_id, []).append(place)
        surplus, wait_s = await self._add_short(events, commands, counts, short, whole=0)
        if len(surplus) == len(events):
            raise self.rates.too_fast(wait_s)
        return Surplus(sorted(surplus), retry_after_s(wait_s)) if surplus else NO_SURPLUS

    async def add_whole(self, events: Events) -> None:
        """Add all events of a driver or none: for senders that can only repeat a whole body.

        Repeating a body that was taken in part would be charged for that part each time, and
        might never end. Raises `Refused` (429), `Overloaded`.
        """
        short: dict[str, list[int]] = {}
        for place, (driver_id, _) in enumerate(events):
            short.setdefault(driver_id, []).append(place)
        counts = [0] * self._shards
        surplus, wait_s = await self._add_short(events, [], counts, short, whole=1)
        if surplus:
            raise self.rates.too_fast(wait_s)

    async def _add_short(
        self,
        events: Events,
        commands: list[Command],
        counts: list[int],
        short: Mapping[str, Sequence[int]],
        *,
        whole: int,
    ) -> tuple[list[int], float]:
        """Send `commands`, and ask for what no lease covered; places refused, and their wait."""
        surplus: list[int] = []
        wait_s = 0.0
        questions: list[_Question] = []
        for driver_id, places in short.items():
            if (driver_wait_s := self.rates.wait_s(driver_id)) > 0:
                surplus += places
                wait_s = max(wait_s, driver_wait_s)
                continue
            shard = shard_of(driver_id, self._shards)
            counts[shard] += len(places)
            mine = [events[place][1] for place in places]
            questions.append(_Question(driver_id, shard, places, mine, whole))
        self._take_rooms(counts)
        if commands or questions:
            replies = await self._ask(commands, questions)
            wait_s = max(wait_s, await self._settle(questions, replies, surplus))
        return surplus, wait_s

    async def _settle(
        self, questions: Sequence[_Question], replies: Sequence[Reply], surplus: list[int]
    ) -> float:
        """Note what the script said of each driver; the longest wait of those cut short."""
        wait_s = 0.0
        plain: list[tuple[str, bytes]] = []
        for question, reply in zip(questions, replies, strict=True):
            driver_id, given = question.driver_id, len(question.places)
            if isinstance(reply, hiredis.ReplyError):
                added = self.rates.take_locally(driver_id, given)
                plain += [(driver_id, event) for event in question.events[:added]]
                wait_us = (given - added) * self.rates.limit.interval_us
            else:
                added, leased, wait_us, _ = reply
                # The script names the time until all would fit; the next one is due earlier.
                next_us = wait_us - (given - added - 1) * self.rates.limit.interval_us
                short = added < given and next_us > 0
                self.rates.note(driver_id, leased=leased, refused_us=next_us if short else None)
            if added < given:
                surplus += question.places[added:]
                wait_s = max(wait_s, wait_us / 1_000_000)
        if plain:
            await super().add_many(plain)
        return wait_s

    async def _ask(self, commands: list[Command], questions: Sequence[_Question]) -> list[Reply]:
        """Send commands and questions in one piece; the replies to the questions.

        An error among them means that the script did nothing. Raises `Overloaded` when a command
        was refused.
        """
        count = len(commands)
        commands += [self._command("EVALSHA", _SHA, question) for question in questions]
        replies = await self._wire.pipeline_raw(commands)
        self._check(replies[:count])
        answers = replies[count:]
        unknown = [
            place
            for place, reply in enumerate(answers)
            if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("NOSCRIPT")
        ]
        if unknown:
            # A server that was restarted. This also makes it remember.
            again = [self._command("EVAL", SCRIPT, questions[place]) for place in unknown]
            for place, reply in zip(unknown, await self._wire.pipeline_raw(again), strict=True):
                answers[place] = reply
        for reply in answers:
            if isinstance(reply, hiredis.ReplyError):
                self._unscripted.failed(error=str(reply))
                break
        else:
            self._unscripted.healed()
        return answers

    def _command(self, verb: str, script: str | bytes, question: _Question) -> Command:
        key = self._rate_prefixes[question.shard] + question.driver_id
        stream = self._streams[question.shard]
        return (verb, script, 2, key, stream, question.whole, *self._terms, *question.events)
