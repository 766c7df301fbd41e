"""One Redis: the fixes a second that it carries when nothing but itself is in the way.

Redis has a core of its own. On the other core clients send, as fast as it answers, what ingest and
the consumers send for each pack: entries are added, read by both stages, written to the live state
and acknowledged. All commands are made beforehand, so a client is a socket and little else. Ids of
entries are given, so that acknowledgements can be made beforehand too.
"""

import os
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import hiredis

from bench import accounting
from bench.context import Bench
from bench.load.fill import Event, events
from bench.load.resp import connect, pack
from bench.processes import Failed
from bench.report.result import Figure
from common.event import decode_event
from common.keys import ENTRY_FIELD, ShardKeys, order_key, shard_of
from common.shards import Shards
from common.stream.backlog import ADDED, SETTLED
from common.stream.pack import encode_pack, packs_of

NAME = "one_redis"
TITLE = "One Redis: its ceiling with packs, on a core of its own"
BOUND_S = 180.0
BODY_FIXES = 100
# Entries of one page, as a consumer reads them in a backlog.
PAGE = 60
# Turns in which a page is taken.
TAKING = 4
GROUP = "ceiling"
ORDER_TTL_S = 3600
REDIS_CORE, CLIENT_CORE = {0}, {1}

# What is sent at once, and how many replies it has.
Turn = tuple[bytes, int]


def run(bench: Bench) -> Iterable[Figure]:
    """In alone, out alone, and both together."""
    stack = bench.stack
    made = events(bench.seed, bench.pick(400_000, 40_000))
    stack.reset()
    [redis] = stack.roots()["redis"]
    threads = [int(task.name) for task in Path(f"/proc/{redis}/task").iterdir()]
    before = os.sched_getaffinity(redis)
    ours = os.sched_getaffinity(0)
    spread = len(ours) > 1
    try:
        if spread:
            for thread in threads:
                os.sched_setaffinity(thread, REDIS_CORE)
            os.sched_setaffinity(0, CLIENT_CORE)
        tapes = [Tape(shard.keys, shard.index, stack.shards)
                 for shard in Shards(stack.settings.stream_name, stack.shards)]  # fmt: skip
        for tape in tapes:
            tape.record(made)
        yield _figure(bench, "in", "packs in", [tape.added for tape in tapes], len(made))
        yield _figure(bench, "out", "packs out", [tape.taken for tape in tapes], len(made))
        stack.reset()
        through = [tape.through() for tape in tapes]
        yield _figure(bench, "through", "in and out", through, len(made))
    finally:
        os.sched_setaffinity(0, ours)
        for thread in threads:
            os.sched_setaffinity(thread, before)


class Tape:
    """The turns of one shard: what ingest sends, and what a consumer sends for the same fixes."""

    def __init__(self, keys: ShardKeys, shard: int, shards: int) -> None:
        self._keys = keys
        self._shard = shard
        self._shards = shards
        self.added: list[Turn] = []
        self.taken: list[Turn] = []

    def record(self, made: Sequence[Event]) -> None:
        """Make all turns for the events of this shard."""
        mine: list[list[bytes]] = []
        for first in range(0, len(made), BODY_FIXES):
            body = [e for d, e in made[first : first + BODY_FIXES]
                    if shard_of(d, self._shards) == self._shard]  # fmt: skip
            mine += [list(part) for part in packs_of(body)]
        bounds = [*range(0, len(mine), PAGE), len(mine)]
        keys = self._keys
        self.taken.append((pack(("XGROUP", "CREATE", keys.stream, GROUP, "0", "MKSTREAM")), 1))
        for begin, end in pairwise(bounds):
            page = mine[begin:end]
            adding: list[bytes] = []
            for number, part in enumerate(page, begin + 1):
                adding += (
                    pack(("XADD", keys.stream, f"{number}-1", ENTRY_FIELD, encode_pack(part))),
                    pack(("HINCRBY", keys.counts, ADDED, len(part))),
                )
            self.added.append((b"".join(adding), len(adding)))
            self._take(page, begin)

    def through(self) -> list[Turn]:
        """Each page added and then taken."""
        begun, rest = self.taken[:1], self.taken[1:]
        for number, adding in enumerate(self.added):
            begun += (adding, *rest[number * TAKING : (number + 1) * TAKING])
        return begun

    def _take(self, page: Sequence[Sequence[bytes]], begin: int) -> None:
        keys = self._keys
        ids = [f"{number}-1" for number in range(begin + 1, begin + len(page) + 1)]
        after = f"{begin}-1" if begin else "0-0"
        reads = [
            pack(("XREAD", "COUNT", PAGE, "STREAMS", keys.stream, after)),
            pack(("XREADGROUP", "GROUP", GROUP, "c", "COUNT", PAGE, "STREAMS", keys.stream, ">")),
        ]
        self.taken += ((read, 1) for read in reads)
        newest = {}
        orders = {}
        for payload in (event for part in page for event in part):
            event = decode_event(payload)
            newest[event.driver_id] = (event, payload)
            if event.order_id is not None:
                orders[event.order_id] = payload
        geo: list[object] = []
        live: list[object] = []
        seen: list[object] = []
        for driver_id, (event, payload) in newest.items():
            geo += (event.longitude, event.latitude, driver_id)
            live += (driver_id, payload)
            seen += (event.recorded_at.timestamp(), driver_id)
        writes = [
            pack(("GEOADD", keys.geo, *geo)), pack(("HSET", keys.live, *live)),
            pack(("ZADD", keys.seen, *seen)), pack(("HSET", keys.cursor, "id", ids[-1])),
        ]  # fmt: skip
        for order_id, payload in orders.items():
            key = order_key(order_id)
            writes += (
                pack(("SET", key, payload, "EX", ORDER_TTL_S, "GET")),
                pack(("PUBLISH", key, payload)),
            )
        self.taken.append((b"".join(writes), len(writes)))
        settled = sum(map(len, page))
        ending = [
            pack(("XACK", keys.stream, GROUP, *ids)),
            pack(("HINCRBY", keys.counts, SETTLED, settled)),
            pack(("XTRIM", keys.stream, "MINID", ids[-1])),
        ]
        self.taken.append((b"".join(ending), len(ending)))


def _figure(
    bench: Bench, key: str, label: str, tapes: Sequence[Sequence[Turn]], fixes: int
) -> Figure:
    bench.say(label)
    before, begin_s = bench.stack.cpu(), time.monotonic()
    errors: list[BaseException] = []
    threads = [
        threading.Thread(target=_play, args=(bench.stack.redis_url, tape, errors), daemon=True)
        for tape in tapes
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise Failed(f"one Redis, {label}: {errors[0]}")
    span_s = time.monotonic() - begin_s
    cost = {"redis": accounting.per_fix_us(before, bench.stack.cpu(), fixes)["redis"]}
    busy = cost["redis"] * fixes / span_s / 1e6
    notes = [] if len(os.sched_getaffinity(0)) == 1 else ["Redis and the clients share cores"]
    return Figure(
        f"one_redis.{key}", f"one Redis, {label}", fixes / span_s, "fixes/s", cpu_us=cost,
        totals={"fixes": fixes, "seconds": round(span_s, 3), "redis_busy": round(busy, 3)},
        notes=[f"Redis used {busy:.0%} of a core", *notes],
    )  # fmt: skip


def _play(url: str, tape: Sequence[Turn], errors: list[BaseException]) -> None:
    """Send turn by turn; an answer that is an error ends the run."""
    try:
        with connect(url) as sock:
            reader = hiredis.Reader()
            for sent, replies in tape:
                sock.sendall(sent)
                waiting = replies
                while waiting:
                    reader.feed(sock.recv(1 << 20))
                    while (reply := reader.gets()) is not False:
                        if isinstance(reply, hiredis.ReplyError):
                            raise reply
                        waiting -= 1
    except (OSError, hiredis.HiredisError) as e:
        errors.append(e)
