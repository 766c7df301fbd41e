"""Orders: the newest event of each, for customers who watch and for those who connect later.

An order usually has one driver, whose shard's worker alone writes it. When drivers of two shards
carry the same order, each worker sees only its own. The value that a SET replaces gives the other
away; if that was the newer one it is put back, and from then on Redis decides (`order.lua`).

An order that was registered with a driver shows that driver alone (`OrderBindings`).

In a cluster orders lie on other servers than their drivers. What belongs to one that is away waits:
the newest event of each order, and nobody else's.
"""

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from importlib.resources import files
from itertools import islice

import hiredis

from common.event import effective_time
from common.keys import order_key
from common.log import Repeated, get
from common.redis.nodes import Nodes
from common.redis.wire import Argument, Command, Reply, Wire
from consumers.live.bindings import OrderBindings
from consumers.live.moves import (
    Moves,
    drop_oldest,
    is_same_driver,
    late_orders,
    order_moves,
    time_of,
    value_in,
)
from consumers.live.newest import Newest
from consumers.live.order_servers import OrderServers
from consumers.live.quota import OrderQuota
from consumers.live.write import LiveWrite
from consumers.stream.entry import PlacedEvent

# Orders with two drivers that are remembered. One that is forgotten is found out again.
SHARED_MAX = 10_000

_ORDER = files(__package__).joinpath("order.lua").read_text()


class OrderState:
    """The orders that drivers of one shard carry. Methods that ask Redis raise `Overloaded`."""

    def __init__(
        self, nodes: Nodes, bindings: OrderBindings, *, names_max: int, ttl_s: int
    ) -> None:
        self._servers = OrderServers(nodes)
        self._publish = nodes.publish
        self._bindings = bindings
        self._names_max = names_max
        self._ttl_s = ttl_s
        self._newest = Newest(names_max)
        self._quota = OrderQuota()
        self._unwritten: Moves = {}
        self._unpublished: Moves = {}
        # Newest events of orders nothing is known of, whose servers are away; and those of them
        # that are decided now.
        self._held: Moves = {}
        self._again: list[PlacedEvent] = []
        # Orders that were seen with two drivers, in the order in which they were.
        self._shared: dict[str, None] = {}
        # Newer events that a SET replaced.
        self._replaced: dict[str, bytes] = {}
        # What the last writes replaced, with what was written.
        self._last: list[tuple[Moves, list[Reply]]] = []
        self._refused = Repeated(get("live"), "live.orders_refused")
        self._over_quota = Repeated(get("live"), "live.too_many_orders")

    @property
    def unwritten(self) -> int:
        """Moves that Redis has not taken or not published, or that are not decided."""
        return len(self._unwritten) + len(self._unpublished) + len(self._held)

    async def learn(self, events: Sequence[PlacedEvent]) -> set[str]:
        """Look up the orders that are not known yet. Returns those that must not be shown."""
        now_s = time.monotonic()
        if self._held:
            events = [*self._take_held(), *events]
        again = self._forget(await self._bindings.changes(now_s))
        carriers = self._unknown(events)
        refused = {o for o, driver in carriers.items() if self._quota.is_full(driver, now_s)}
        # An order that went to another driver may have a newer fix in another shard.
        wanted = dict.fromkeys([*carriers, *late_orders(events), *again])
        names = [name for name in wanted if name not in refused]
        values = await self._values(names)
        # In the order in which they came, wherever they lie: the first have the driver's quota.
        for name in filter(values.__contains__, names):
            value, driver_id = values[name], carriers.get(name)
            if value is None and driver_id is not None:
                if self._quota.is_full(driver_id, now_s):
                    refused.add(name)
                    continue
                self._quota.add(driver_id)
            self._newest.learn(name, time_of(value))
        for name in again:
            self._drop_foreign(name)
        if refused:
            self._over_quota.failed(fixes=self._quota.refused, driver=carriers[min(refused)])
        if len(values) < len(names):
            return refused | self._hold(events, carriers.keys() - values.keys() - refused)
        return refused

    def _take_held(self) -> list[PlacedEvent]:
        """Events whose orders can be asked for now."""
        away = self._servers.is_away
        back = {name for name in self._held if not away(self._servers.of(name))}
        self._again = [placed for name, placed in self._held.items() if name in back]
        for name in back:
            del self._held[name]
        return self._again

    def _hold(self, events: Sequence[PlacedEvent], names: set[str]) -> set[str]:
        """Keep the newest event of each of these orders, whose servers do not answer."""
        for placed in events:
            name = placed.event.order_id
            if name is None or name not in names:
                continue
            known = self._held.get(name)
            if known is None or effective_time(placed.event) > effective_time(known.event):
                self._held[name] = placed
        drop_oldest(self._held, self._names_max)
        return names

    def _forget(self, changed: Collection[str] | None) -> list[str]:
        """Ask again for orders that have changed (None: all); those of which something waits."""
        self._newest.forget(changed)
        self._bindings.forget(changed)
        waiting = {**self._unwritten, **self._unpublished}
        if changed is None:
            self._shared.clear()
            return list(waiting)
        for order_id in changed:
            self._shared.pop(order_id, None)
        return [order_id for order_id in changed if order_id in waiting]

    def _drop_foreign(self, order_id: str) -> None:
        """What waits to be written for an order is not, if it is another driver's now."""
        for waiting in (self._unwritten, self._unpublished):
            placed = waiting.get(order_id)
            if placed is not None and not self._bindings.may_show(order_id, placed.payload):
                del waiting[order_id]

    def _unknown(self, events: Sequence[PlacedEvent]) -> dict[str, str]:
        """Order → the driver that carries it, for orders that are not known yet."""
        known = self._newest
        return {
            placed.event.order_id: placed.event.driver_id
            for placed in events
            if placed.event.order_id is not None and placed.event.order_id not in known
        }

    async def _values(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The newest event of each order, of the driver that it shows; who that is is learnt.

        Orders are missing whose servers do not answer.
        """
        bindings = self._bindings
        by_wire: dict[Wire, list[str]] = {}
        for name in names:
            by_wire.setdefault(self._servers.of(name), []).append(name)
        asked: dict[Wire, list[Command]] = {}
        for wire, part in by_wire.items():
            commands = asked[wire] = []
            for name in part:
                commands += (("GET", order_key(name)), bindings.asking(name))
        values: dict[str, bytes | None] = {}
        for wire, replies in (await self._servers.ask(asked)).items():
            part = by_wire[wire]
            for name, event, order in zip(part, replies[::2], replies[1::2], strict=True):
                bindings.learn(name, order)
                value = value_in(event)
                shown = value is not None and bindings.may_show(name, value)
                values[name] = value if shown else None
        return values

    def decide(self, events: Sequence[PlacedEvent], refused: set[str]) -> Moves:
        """Order → the event that its customers get next. Kept here until Redis has taken it."""
        if self._again:
            events = [*self._again, *events]
            self._again = []
        moves = order_moves(events, self._newest, refused, self._bindings.only)
        self._unwritten |= moves
        self._unpublished |= moves
        self._newest.trim()
        if len(self._bindings.only) > self._names_max:
            self._bindings.keep(self._newest)
        drop_oldest(self._unwritten, self._names_max)
        drop_oldest(self._unpublished, self._names_max)
        return moves

    def writing(self, moves: Moves) -> list[LiveWrite]:
        """What writes these moves and tells the customers who watch.

        A value is set before it is published: a client that subscribes and then reads the value
        misses nothing.
        """
        self._last.clear()
        by_wire: dict[Wire, tuple[Moves, list[Command]]] = {}
        publish = self._publish
        for order_id, placed in moves.items():
            part, commands = by_wire.setdefault(self._servers.of(order_id), ({}, []))
            key, payload = order_key(order_id), placed.payload
            part[order_id] = placed
            if order_id in self._shared:
                commands.append(self._shared_write(key, payload))
                continue
            commands.append(("SET", key, payload, "EX", self._ttl_s, "GET"))
            if order_id in self._unpublished:
                commands.append((publish, key, payload))
        return [
            self._write(wire, commands, partial(self._take, part, commands))
            for wire, (part, commands) in by_wire.items()
            if not self._servers.is_away(wire)
        ]

    def _write(
        self, wire: Wire, commands: list[Command], take: Callable[[Sequence[Reply]], None]
    ) -> LiveWrite:
        lost = partial(self._servers.note_away, wire) if self._servers.apart else None
        return LiveWrite(wire, commands, take, lost)

    def _shared_write(self, key: str, event: Argument) -> Command:
        return ("EVAL", _ORDER, 1, key, event, self._ttl_s, self._publish)

    def rewriting(self, most: int) -> list[LiveWrite]:
        """What writes up to `most` moves that Redis has not taken; nothing when there are none."""
        waiting: Iterable[tuple[str, PlacedEvent]] = (self._unwritten or self._unpublished).items()
        if self._servers.apart:
            # Those whose server is away must not stand before the others.
            of, away = self._servers.of, self._servers.is_away
            waiting = (item for item in waiting if not away(of(item[0])))
        return self.writing(dict(islice(waiting, most)))

    def undo(self) -> None:
        """The last writes were not this writer's to make: what they replaced is to be put back.

        Orders share no transaction with the shard's fence. Whoever finds that it has lost the
        shard has perhaps just shown an older position in place of its successor's.
        """
        for moves, answers in self._last:
            for (order_id, placed), answer in zip(moves.items(), answers, strict=True):
                moment = time_of(answer) if isinstance(answer, bytes) else None
                if moment is not None and moment > effective_time(placed.event):
                    self._replaced[order_id] = answer
        self._last.clear()

    def restoring(self) -> list[LiveWrite]:
        """What puts back newer events that were replaced; nothing when there are none."""
        replaced, self._replaced = self._replaced, {}
        return [
            self._write(
                self._servers.of(order_id),
                [self._shared_write(order_key(order_id), event)],
                lambda _: None,
            )
            for order_id, event in replaced.items()
        ]

    def _take(self, moves: Moves, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        # What was published is so also where the state was refused.
        answers = [r for c, r in zip(commands, replies, strict=True) if c[0] != self._publish]
        self._last.append((moves, answers))
        error: hiredis.ReplyError | None = None
        for (order_id, placed), answer in zip(moves.items(), answers, strict=True):
            if self._unpublished.get(order_id) is placed:
                del self._unpublished[order_id]
            if isinstance(answer, hiredis.ReplyError):
                error = answer
                continue
            if self._unwritten.get(order_id) is placed:
                del self._unwritten[order_id]
            if (
                isinstance(answer, bytes)
                and not is_same_driver(answer, placed.payload)
                and order_id not in self._bindings.only
            ):
                self._note_other_driver(order_id, answer, placed)
        if error is not None:
            self._refused.failed(error=str(error), orders=len(self._unwritten))
        elif moves:
            self._refused.healed()

    def _note_other_driver(self, order_id: str, replaced: bytes, placed: PlacedEvent) -> None:
        moment = time_of(replaced)
        if moment is None:
            return
        self._shared[order_id] = None
        if len(self._shared) > SHARED_MAX:
            del self._shared[next(iter(self._shared))]
        if moment > effective_time(placed.event):
            self._newest.learn(order_id, moment)
            self._replaced[order_id] = replaced
