"""Which of several databases holds a driver's history, and who stores it there. Pure.

`crc32(driver_id) % databases`, the same hash as a driver's shard: with SHARDS a multiple of the
databases all drivers of a shard are in one database. Another rule would look for drivers where they
are not. Databases are numbered from 0; the first is called home and also holds what no driver
divides: orders, geofences, events, webhooks.

Each database has a consumer group of its own in the streams that have its drivers. So one that is
away stops its own group, and what waits for it stays in the stream.
"""

import re
from math import gcd
from typing import NamedTuple
from zlib import crc32

from common.databases.url import SCHEMES, require_readable

# More servers than anybody runs by hand; a stream that is read by all of them is read so often.
DATABASES_MAX = 64

# A URL may name several hosts, separated by commas: only what begins anew is another URL.
_BETWEEN = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")


class HistoryGroup(NamedTuple):
    """A consumer group of one shard: `name` in Redis, and the database that it stores in."""

    name: str
    database: int


def parse_urls(setting: str) -> tuple[str, ...]:
    """The URLs that DATABASE_URLS lists, in their order. Raises `ValueError`, naming no URL."""
    text = setting.strip().rstrip(", \t\r\n")
    urls = tuple(part.strip() for part in _BETWEEN.split(text)) if text else ()
    for number, url in enumerate(urls, 1):
        if not url.strip(",") or url.endswith(","):
            # What was to fill it is missing: the others must not move up.
            raise ValueError("DATABASE_URLS: an entry is empty")
        if not url.startswith(SCHEMES):
            raise ValueError(f"DATABASE_URLS: number {number} is no postgresql:// URL")
        if url in urls[: number - 1]:
            raise ValueError(f"DATABASE_URLS: number {number} is named twice")
        require_readable(f"DATABASE_URLS: number {number}", url)
    if len(urls) > DATABASES_MAX:
        raise ValueError(f"DATABASE_URLS: {len(urls)} are more than {DATABASES_MAX}")
    return urls


def database_of(driver_id: str, databases: int) -> int:
    """The number of the database that holds a driver's history."""
    return crc32(driver_id.encode()) % databases


def databases_of(shard: int, shards: int, databases: int) -> tuple[int, ...]:
    """The databases that hold the drivers of a shard, in their order."""
    # Of x % shards == shard nothing more is known than x modulo what divides both.
    step = gcd(shards, databases)
    return tuple(range(shard % step, databases, step))


def history_groups(group: str, shard: int, shards: int, databases: int) -> tuple[HistoryGroup, ...]:
    """The groups that store what is in a shard's stream. The first has the plain name, so that
    with one database, or one for each shard, nothing is called otherwise.
    """
    first, *others = databases_of(shard, shards, databases)
    named = (HistoryGroup(f"{group}.{number + 1}", number) for number in others)
    return (HistoryGroup(group, first), *named)
