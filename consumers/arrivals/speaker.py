"""Puts arrivals into Redis: for who asks, and to who watches. And notes them for the log."""

import asyncio
from collections.abc import Sequence

import hiredis

from common.arrivals.arrival import encode_arrival
from common.errors import Overloaded
from common.events.happening import Happening, HappeningType
from common.keys import order_arrival_key, order_key
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Command, Wire
from consumers.arrivals.followed import Say
from consumers.arrivals.ledger import Ledger, LogRow
from consumers.arrivals.numbers import ArrivalNumbers
from consumers.arrivals.rounds import Spoken

MINUTE_S = 60


class ArrivalSpeaker:
    """`ttl_s`: how long an arrival is kept; `before_s`: when it is told that the driver is near."""

    def __init__(
        self, nodes: Nodes, ledger: Ledger, numbers: ArrivalNumbers, *, ttl_s: int, before_s: float
    ) -> None:
        self._nodes = nodes
        self._ledger = ledger
        self._numbers = numbers
        self._ttl_s = ttl_s
        self._before_s = before_s
        self._refused = Repeated(get("arrivals"), "arrivals.refused")

    async def take(self, spoken: Sequence[Spoken]) -> None:
        """Raises `Overloaded` if no server answers; what one that is away should have is lost."""
        by_wire: dict[Wire, list[Command]] = {}
        for each in spoken:
            self._numbers.count(each.arrival.method, published=each.say is Say.PUBLISH)
            self._note(each)
            if each.say is Say.NOTHING:
                continue
            order_id, frame = each.arrival.order_id, encode_arrival(each.arrival)
            commands = by_wire.setdefault(self._nodes.order_wire(order_id), [])
            # Set before it is published: who subscribes and then reads misses nothing.
            commands.append(("SET", order_arrival_key(order_id), frame, "EX", self._ttl_s))
            if each.say is Say.PUBLISH:
                commands.append((self._nodes.publish, order_key(order_id), frame))
        answers = await asyncio.gather(
            *(self._say(wire, commands) for wire, commands in by_wire.items()),
            return_exceptions=True,
        )
        lost = [answer for answer in answers if isinstance(answer, BaseException)]
        if lost and (len(lost) == len(answers) or not isinstance(lost[0], Overloaded)):
            raise lost[0]

    async def _say(self, wire: Wire, commands: list[Command]) -> None:
        replies = await wire.pipeline_raw(commands)
        refused = next((r for r in replies if isinstance(r, hiredis.ReplyError)), None)
        if refused is not None:
            # A full Redis: who watches was told all the same.
            self._refused.failed(error=str(refused))
        else:
            self._refused.healed()

    def _note(self, each: Spoken) -> None:
        arrival, followed = each.arrival, each.followed
        minute = int(arrival.computed_at.timestamp()) // MINUTE_S
        if not followed.is_logged(minute):
            self._ledger.log(
                LogRow(
                    *(arrival.order_id, minute, arrival.computed_at, arrival.driver_id),
                    *(arrival.method, max(0.0, each.model.seconds - arrival.position_age_s)),
                    *(arrival.remaining_s, arrival.low_s, arrival.high_s),
                )
            )
        if followed.arrives_soon(arrival, self._before_s):
            self._ledger.tell(happening_of_arrival(each))


def happening_of_arrival(each: Spoken) -> Happening:
    """That the driver is near. The fence at the door tells the same, if nothing was told before:
    so an order arrives once.
    """
    arrival = each.arrival
    return Happening(
        type=HappeningType.ORDER_ARRIVING,
        driver_id=arrival.driver_id,
        order_id=arrival.order_id,
        at=arrival.computed_at,
        recorded_at=each.place.recorded_at,
        data={
            "cause": "arrival",
            "arrival_at": arrival.arrival_at,
            "remaining_s": arrival.remaining_s,
            "remaining_m": arrival.remaining_m,
            "method": arrival.method,
        },
        key="state",
    )
