"""Trimming: the stream is cut behind the oldest entry that anybody still needs, never past it."""

from common.redis.wire import Wire
from consumers.stream.entry import id_order, next_id


async def trim(wire: Wire, stream: str) -> int:
    """Remove entries that every group has read and acknowledged. Returns how many.

    Safe without a transaction: whatever is delivered between the question and the cut is newer
    than the horizon. Raises `Overloaded` or `hiredis.ReplyError`.
    """
    horizons = []
    for row in await wire.send("XINFO", "GROUPS", stream):
        group = dict(zip(row[::2], row[1::2], strict=True))
        if group[b"pending"]:
            summary = await wire.send("XPENDING", stream, group[b"name"])
            if summary[1] is not None:
                horizons.append(summary[1])
                continue
        horizons.append(next_id(group[b"last-delivered-id"]))
    if not horizons:
        return 0
    horizon = min(horizons, key=id_order)
    trimmed: int = await wire.send("XTRIM", stream, "MINID", "=", horizon)
    return trimmed
