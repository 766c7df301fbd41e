"""What the share agent tells its supervisor: the workers that are to run. Imports no Redis.

All of it each time, and in one message, which must not be longer than the kernel takes at once: so
the shards of a layout are told as numbers, and not each worker with its arguments.
"""

from collections.abc import Collection

import msgspec

from common.event import MALFORMED
from common.keys import FIRST_EPOCH
from common.layout import Layout
from common.shards import Shard, Shards


class LayoutOrders(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shards of one layout that are to run; `older`: the one whose drivers it takes over.

    `layout` is None for the first of a system, whose workers know it from their settings.
    """

    shards: list[int]
    layout: str | None = None
    older: str | None = None


class RunWorkers(msgspec.Struct, frozen=True):
    """The whole of what is to run on this host."""

    run: list[LayoutOrders]


_decode = msgspec.json.Decoder(RunWorkers).decode


def encode_orders(shards: Shards, running: Collection[Shard]) -> bytes:
    """The message that those of `shards`, older ones included, which are `running` are to run."""
    orders = []
    for group, older in ((shards, shards.older), (shards.older, None)):
        if group is not None and (indexes := [s.index for s in group if s in running]):
            layout = str(group.layout) if group.epoch != FIRST_EPOCH else None
            orders.append(LayoutOrders(indexes, layout, str(older.layout) if older else None))
    return msgspec.json.encode(RunWorkers(orders))


def read_orders(message: bytes) -> dict[str, list[str]] | None:
    """The workers, name -> arguments; None for a message about something else."""
    try:
        orders = _decode(message).run
    except MALFORMED:
        return None
    workers = {}
    for order in orders:
        arguments, suffix = [], ""
        if order.layout is not None:
            suffix = f"-{Layout.parse(order.layout).epoch}"
            arguments += ["--layout", order.layout]
        if order.older is not None:
            arguments += ["--older", order.older]
        for index in order.shards:
            workers[f"consumer-{index}{suffix}"] = ["--shard", str(index), *arguments]
    return workers
