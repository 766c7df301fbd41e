"""What the share agent tells its supervisor: the workers that are to run. Imports no Redis.

All of it each time, and in one message, which must not be longer than the kernel takes at once: so
the shards of a layout are told as numbers, and not each worker with its arguments.
"""

from collections.abc import Collection

import msgspec

from common.event import MALFORMED
from common.layout import Layout
from common.shards import Shard, Shards, shard_name


class LayoutOrders(msgspec.Struct, frozen=True, omit_defaults=True):
    """The shards of one layout that are to run; `older`: the one whose drivers it takes over.

    The layout is always told: SHARDS may be another number than the data have by now.
    """

    shards: list[int]
    layout: str
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
            told = str(older.layout) if older is not None else None
            orders.append(LayoutOrders(indexes, str(group.layout), told))
    return msgspec.json.encode(RunWorkers(orders))


def read_orders(message: bytes) -> dict[str, list[str]] | None:
    """The workers, name -> arguments; None for a message about something else."""
    try:
        orders = _decode(message).run
    except MALFORMED:
        return None
    workers = {}
    for order in orders:
        arguments = ["--layout", order.layout]
        if order.older is not None:
            arguments += ["--older", order.older]
        epoch = Layout.parse(order.layout).epoch
        for index in order.shards:
            name = f"consumer-{shard_name(index, epoch)}"
            workers[name] = ["--shard", str(index), *arguments]
    return workers
