"""Where keys lie in a Redis cluster, and tags that spread them evenly over it. Pure.

A cluster has 16,384 slots, which its primaries share. Bare numbers in braces would be tags whose
slots crowd: `{0}` to `{15}` leave half of eight primaries empty. So the tag of a shard is searched
for one that lies in the middle of the shard's own share of the slots.
"""

from binascii import crc_hqx
from collections.abc import Iterator
from functools import lru_cache
from itertools import count, product

# Slots of a Redis cluster, by its specification.
SLOTS = 16_384
# What tags end with, tried shortest first.
_ALPHABET = b"0123456789abcdefghijklmnopqrstuvwxyz"
_CHARS_MAX = 4


def slot_of(key: str | bytes) -> int:
    """Slot of a key in a Redis cluster: CRC-16 (XMODEM) of its tag, or of all of it without one."""
    name = key.encode() if isinstance(key, str) else key
    _, opened, rest = name.partition(b"{")
    tag, closed, _ = rest.partition(b"}")
    return crc_hqx(tag if opened and closed and tag else name, 0) % SLOTS


def spread_tags(stem: str, buckets: int) -> tuple[str, ...]:
    """Tags in braces whose slots lie evenly: tag `n` in the `n`-th of `buckets` equal ranges."""
    width = SLOTS // buckets
    tags = []
    for bucket in range(buckets):
        names = (f"{{{stem}{bucket}.{n}}}" for n in count())
        tags.append(next(name for name in names if slot_of(name) // width == bucket))
    return tuple(tags)


@lru_cache(maxsize=16)
def shard_tags(shards: int, epoch: int) -> tuple[str, ...]:
    """The tags, in braces, of a layout of so many shards: `{<epoch>.<shard>-<suffix>}`.

    A tag's slot lies within a quarter of the middle of its shard's share, so that any number of
    primaries that divides `shards`, each with an equal range, have as many shards each. The tags
    of two epochs are disjoint. 1024 of them take about a third of a second.
    """
    return tuple(_shard_tag(shard, shards, epoch) for shard in range(shards))


def _shard_tag(shard: int, shards: int, epoch: int) -> str:
    width = SLOTS / shards
    middle, reach = (shard + 0.5) * width, width / 4
    low, high = middle - reach, middle + reach
    stem = b"%d.%d-" % (epoch, shard)
    begun = crc_hqx(stem, 0)
    suffix = next(s for s in _suffixes() if low <= crc_hqx(s, begun) % SLOTS <= high)
    return f"{{{(stem + suffix).decode()}}}"


@lru_cache(maxsize=_CHARS_MAX)
def _suffixes_of(chars: int) -> tuple[bytes, ...]:
    return tuple(bytes(letters) for letters in product(_ALPHABET, repeat=chars))


def _suffixes() -> Iterator[bytes]:
    for chars in range(1, _CHARS_MAX + 1):
        yield from _suffixes_of(chars)
