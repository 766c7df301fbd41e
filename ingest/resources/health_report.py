"""What the probes' replies mean, shard by shard and as a whole. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import hiredis

from common.keys import ShardKeys
from common.redis.wire import Command, Reply
from common.stream.backlog import fixes_waiting, totals_question, unread_and_pending, unread_entries


@dataclass(frozen=True, slots=True)
class ShardHealth:
    """One shard. Counts are None while Redis cannot say.

    `backlog` are fixes that nobody has read and `pending` those that were read and are neither
    stored nor dead-lettered; see `common.stream.backlog` for how exact they are.
    """

    shard: int
    backlog: int | None = None
    pending: int | None = None
    oldest_pending_ms: int | None = None
    dead_letters: int | None = None
    consumer: str = "down"


def probe(keys: ShardKeys) -> Command:
    """What is refused exactly when a fix of the shard would be: out of memory, read-only, disk
    full, loading. It writes nothing, since its key never exists and NOMKSTREAM makes none.
    """
    return ("XADD", keys.probe, "NOMKSTREAM", "*", "e", "")


def questions(keys: ShardKeys, group: str) -> list[Command]:
    """What to ask about one shard; `read_shard` takes the replies."""
    return [
        totals_question(keys),
        ("XLEN", keys.stream),
        ("XINFO", "GROUPS", keys.stream),
        ("XPENDING", keys.stream, group),
        ("XLEN", keys.dead),
        ("EXISTS", keys.consumer),
    ]


def read_shard(shard: int, group: str, replies: Sequence[Reply], now_ms: int) -> ShardHealth:
    """Read the replies to `questions`. An error reply means that there is no stream or group."""
    totals, length, groups, summary, dead, consumer = (
        None if isinstance(reply, hiredis.ReplyError) else reply for reply in replies
    )
    pending, oldest_ms = _pending(summary, now_ms)
    unread = _unread(length or 0, groups, group, pending)
    fixes = fixes_waiting(totals or (None, None), unread + pending)
    backlog, pending_fixes = unread_and_pending(fixes, unread, pending)
    return ShardHealth(
        shard=shard,
        backlog=backlog,
        pending=pending_fixes,
        oldest_pending_ms=oldest_ms,
        dead_letters=dead or 0,
        consumer="up" if consumer else "down",
    )


def _pending(summary: Reply, now_ms: int) -> tuple[int, int]:
    if not summary or not summary[0]:
        return 0, 0
    oldest = int(bytes(summary[1]).partition(b"-")[0])
    return summary[0], max(0, now_ms - oldest)


def _unread(length: int, groups: Reply, group: str, pending: int) -> int:
    for entry in groups or ():
        facts: dict[bytes, Any] = dict(zip(entry[::2], entry[1::2], strict=True))
        if facts.get(b"name") == group.encode():
            return unread_entries(length, facts.get(b"lag"), pending)
    return length


def report(
    *,
    accepting: bool,
    full: bool,
    redis_up: bool,
    database_up: bool,
    shards: Sequence[ShardHealth],
    apps: Mapping[str, Mapping[str, int]],
    leaving: Sequence[ShardHealth] = (),
    missing: Sequence[int] = (),
    unreplicated: Sequence[int] = (),
) -> dict[str, object]:
    """The answer of `/health`; `full`: some shard refuses, `accepting`: not every one does.

    `missing`: shards whose server does not answer; `unreplicated`: those whose server has no
    replica, though REPLICATION wants one. `leaving`: shards that are not written any more, since
    their number changes. What waits in them waits too; they are named while there are any.

    `apps` counts what phone apps sent and was not stored so, by app and reason.
    Dead letters are somebody's work to do, not a degraded system.
    """
    every = [*shards, *leaving]
    status = "ok"
    if not (redis_up and accepting):
        status = "down"
    elif (
        full
        or missing
        or unreplicated
        or not database_up
        or any(shard.consumer == "down" for shard in every)
    ):
        status = "degraded"
    return {
        "status": status,
        "redis": "up" if redis_up else "down",
        "database": "up" if database_up else "down",
        "pending_messages": _sum([shard.pending for shard in every]),
        "backlog": _sum([shard.backlog for shard in every]),
        "dead_letters": _sum([shard.dead_letters for shard in every]),
        "shards": [asdict(shard) for shard in shards],
        "missing_shards": list(missing),
        "unreplicated_shards": list(unreplicated),
        **({"leaving_shards": [asdict(shard) for shard in leaving]} if leaving else {}),
        "apps": apps,
    }


def _sum(counts: list[int | None]) -> int | None:
    numbers = [count for count in counts if count is not None]
    return sum(numbers) if len(numbers) == len(counts) else None
