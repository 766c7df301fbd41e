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

# More servers than anybody runs by hand; a stream that is read by all of them is read so often.
DATABASES_MAX = 64
SCHEMES = ("postgresql://", "postgres://")

# A URL may name several hosts, separated by commas: only what begins anew is another URL.
_BETWEEN = re.compile(r",\s*(?=[A-Za-z][A-Za-z0-9+.-]*://)")


# One host of a URL, maybe with a port.
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%]*\]|[^:\[\]]*)(:[0-9]{1,5})?")


class HistoryGroup(NamedTuple):
    """A consumer group of one shard: `name` in Redis, and the database that it stores in."""

    name: str
    database: int


def require_url(name: str, url: str) -> None:
    """Raise `ValueError` for what is no URL of a database. It repeats nothing of it: what asyncpg
    says of a password that was not encoded is a part of the password.
    """
    if not url.startswith(SCHEMES):
        raise ValueError(f"{name} must begin with {' or '.join(SCHEMES)}")
    authority = re.split("[/?#]", url.partition("://")[2], maxsplit=1)[0]
    if not all(map(_HOST.fullmatch, authority.rpartition("@")[2].split(","))):
        raise ValueError(
            f"{name} names no host and port that can be read; in a password / ? # and @ are "
            "written as %2F %3F %23 and %40"
        )


def parse_urls(setting: str) -> tuple[str, ...]:
    """The URLs that DATABASE_URLS lists, in their order. Raises `ValueError`, naming no URL."""
    urls = tuple(part.strip() for part in _BETWEEN.split(setting.strip().strip(",")) if part)
    for number, url in enumerate(urls, 1):
        if not url.startswith(SCHEMES):
            raise ValueError(f"DATABASE_URLS: number {number} is no postgresql:// URL")
        require_url(f"DATABASE_URLS: number {number}", url)
        if url in urls[: number - 1]:
            raise ValueError(f"DATABASE_URLS: number {number} is named twice")
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
