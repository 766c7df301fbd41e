"""Fills Redis and the database fast, for what is measured afterwards. Not measured itself,
except where a bare command is the ceiling.
"""

import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import hiredis

from bench.load.resp import connect, pack
from bench.load.workload import CENTRE, Fix, streets
from bench.stack import Stack
from common.event import LocationEvent, LocationUpdate, decode_event, encode_event
from common.keys import ENTRY_FIELD, shard_keys, shard_of
from common.stream.backlog import ADDED
from common.stream.pack import encode_pack, packs_of
from consumers.history.row import Row, row_of

# Commands of one write.
AT_ONCE = 500
# Fixes of the bodies whose packs are put into the streams.
BODY_FIXES = 100
ORDER_TTL_S = 3600

Event = tuple[str, bytes]


def update_of(fix: Fix) -> LocationUpdate:
    """The fix as ingest reads it."""
    return LocationUpdate(**fix.values())  # type: ignore[arg-type]


def events(seed: int, count: int, drivers: int = 10_000) -> list[Event]:
    """(driver, event bytes) of the workload, dated a microsecond apart until now."""
    now = datetime.now(UTC)
    first = now - timedelta(microseconds=count)
    return [
        (
            fix.driver_id,
            encode_event(fix.driver_id, update_of(fix), first + timedelta(microseconds=n), now),
        )
        for n, fix in enumerate(itertools.islice(streets(seed, drivers), count))
    ]


def rows(made: Sequence[Event]) -> list[Row]:
    """The events as COPY takes them."""
    decoded: Iterator[LocationEvent] = (decode_event(event) for _, event in made)
    return [row_of(event) for event in decoded]


def pipeline(url: str, commands: Iterable[tuple[object, ...]], at_once: int = AT_ONCE) -> None:
    """Send commands, some at a time, and read their replies. Raises what Redis answers."""
    reader = hiredis.Reader()
    source = iter(commands)
    with connect(url) as sock:
        while part := [pack(c) for c in itertools.islice(source, at_once)]:
            sock.sendall(b"".join(part))
            waiting = len(part)
            while waiting:
                reader.feed(sock.recv(262_144))
                while (reply := reader.gets()) is not False:
                    if isinstance(reply, hiredis.ReplyError):
                        raise reply
                    waiting -= 1


def add_entries(stack: Stack, made: Sequence[Event], at_once: int = BODY_FIXES) -> int:
    """Put events into their shards' streams as bodies of `at_once` would; how many entries."""
    stem, shards = stack.settings.stream_name, stack.shards
    keys = [shard_keys(stem, shard, shards) for shard in range(shards)]
    entries = 0

    def commands() -> Iterator[tuple[object, ...]]:
        nonlocal entries
        for first in range(0, len(made), at_once):
            body: list[list[bytes]] = [[] for _ in keys]
            for driver_id, event in made[first : first + at_once]:
                body[shard_of(driver_id, shards)].append(event)
            for shard, portion in zip(keys, body, strict=True):
                for pack_events in packs_of(portion):
                    entries += 1
                    yield ("XADD", shard.stream, "*", ENTRY_FIELD, encode_pack(pack_events))
                    yield ("HINCRBY", shard.counts, ADDED, len(pack_events))

    pipeline(stack.redis_url, commands())
    return entries


def add_drivers(stack: Stack, count: int) -> None:
    """Put drivers on the live map, evenly over a town that grows with their number."""
    now = datetime.now(UTC)
    stem, shards = stack.settings.stream_name, stack.shards
    keys = [shard_keys(stem, shard, shards) for shard in range(shards)]
    side = int(count**0.5) + 1
    # About 1,000 drivers a square kilometre, whatever their number.
    step = 0.0003

    def commands() -> Iterator[tuple[object, ...]]:
        for first in range(0, count, AT_ONCE):
            batch: list[tuple[list[object], list[object]]] = [([], []) for _ in range(shards)]
            for number in range(first, min(first + AT_ONCE, count)):
                driver = f"near-{number:07}"
                latitude = CENTRE[0] + (number // side - side / 2) * step
                longitude = CENTRE[1] + (number % side - side / 2) * step
                update = LocationUpdate(latitude=latitude, longitude=longitude, speed=30.0)
                geo, live = batch[shard_of(driver, shards)]
                geo += (longitude, latitude, driver)
                live += (driver, encode_event(driver, update, now, now))
            for shard, (geo, live) in enumerate(batch):
                if geo:
                    yield ("GEOADD", keys[shard].geo, *geo)
                    yield ("HSET", keys[shard].live, *live)

    pipeline(stack.redis_url, commands(), at_once=8)


async def add_history(connection: asyncpg.Connection, drivers: int, points: int) -> float:
    """Yesterday of `drivers`, a point every 5 s, in the order in which it would have come.

    The database makes the rows itself: binary COPY from Python would take minutes. Returns the
    seconds it took.
    """
    begin_s = time.monotonic()
    await connection.execute(
        "SELECT fleetline_ensure_partitions(ARRAY[(now() at time zone 'utc')::date - 1])"
    )
    await connection.execute(
        """
        INSERT INTO locations (driver_id, recorded_at, received_at, latitude, longitude, speed,
                               heading, accuracy, order_id)
        SELECT 'route-' || driver, at, at + interval '0.4 s', 53.4 + step * 1e-6,
               -2.99 + driver * 1e-4, 30, step % 360, 5, 'route-' || driver || '-0'
        FROM generate_series(0, $1::int - 1) AS step,
             LATERAL (SELECT ((now() at time zone 'utc')::date - 1) at time zone 'utc'
                             + step * interval '5 s' AS at) AS moment,
             generate_series(1, $2::int) AS driver
        """,
        points,
        drivers,
    )
    await connection.execute("ANALYZE locations")
    return time.monotonic() - begin_s
