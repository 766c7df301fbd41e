"""What the probes' replies mean, shard by shard and as a whole. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import hiredis

from common.keys import ShardKeys
from common.redis.wire import Command, Reply
from common.stream.backlog import fixes_waiting, totals_question, unread_and_pending, unread_entries
from ingest.intake.room import ServerRoom
from ingest.resources.room_report import room_report


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


def questions(keys: ShardKeys, groups: Sequence[str]) -> list[Command]:
    """What to ask about one shard and the groups that store it; `read_shard` takes the replies."""
    return [
        totals_question(keys),
        ("XLEN", keys.stream),
        ("XINFO", "GROUPS", keys.stream),
        ("XPENDING", keys.stream, groups[0]),
        ("XLEN", keys.dead),
        ("EXISTS", keys.consumer),
        *(("XPENDING", keys.stream, group) for group in groups[1:]),
    ]


def read_shard(
    shard: int, groups: Sequence[str], replies: Sequence[Reply], now_ms: int
) -> ShardHealth:
    """Read the replies to `questions`. An error reply means that there is no stream or group.

    Of several groups the one that has most left says how many entries wait; how many fixes do is
    counted of all together.
    """
    totals, length, infos, summary, dead, consumer, *others = (
        None if isinstance(reply, hiredis.ReplyError) else reply for reply in replies
    )
    waits = [_pending(reply, now_ms) for reply in (summary, *others)]
    entries = [
        (_unread(length or 0, infos, group, pending), pending)
        for group, (pending, _) in zip(groups, waits, strict=True)
    ]
    unread, pending = max(entries, key=sum)
    oldest_ms = max(oldest for _, oldest in waits)
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
    shards: Sequence[ShardHealth],
    apps: Mapping[str, Mapping[str, int]],
    leaving: Sequence[ShardHealth] = (),
    missing: Sequence[int] = (),
    unreplicated: Sequence[int] = (),
    servers: Sequence[ServerRoom] = (),
    missing_databases: Sequence[int] = (),
) -> dict[str, object]:
    """The answer of `/health`; `full`: some shard refuses, `accepting`: not every one does.

    `missing`: shards whose server does not answer; `unreplicated`: those whose server has no
    replica, though REPLICATION wants one. `servers`: what room those have that answer.
    `missing_databases`: numbers, from 1, of those that do not answer. `leaving`: shards that are
    not written any more, since their number changes. What waits in them waits too; they are named
    while there are any.

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
        or missing_databases
        or any(shard.consumer == "down" for shard in every)
    ):
        status = "degraded"
    return {
        "status": status,
        "redis": "up" if redis_up else "down",
        "database": "down" if missing_databases else "up",
        "pending_messages": _sum([shard.pending for shard in every]),
        "backlog": _sum([shard.backlog for shard in every]),
        "dead_letters": _sum([shard.dead_letters for shard in every]),
        "shards": [asdict(shard) for shard in shards],
        "missing_shards": list(missing),
        "unreplicated_shards": list(unreplicated),
        **({"leaving_shards": [asdict(shard) for shard in leaving]} if leaving else {}),
        "room": room_report(servers),
        "missing_databases": list(missing_databases),
        "apps": apps,
    }


def _sum(counts: list[int | None]) -> int | None:
    numbers = [count for count in counts if count is not None]
    return sum(numbers) if len(numbers) == len(counts) else None
