"""Layouts: how many shards there are, and what changes when that number does. Pure.

A layout is a number of shards and an epoch, which is part of its keys' names, so two layouts have
no key in common. Two are there while the number changes. `now` is where ingest writes. `coming` is
made ready and not written yet; `before` is not written any more and still read from, until all
in it is stored and every position that may be shown is in the new one.

The hash `fleetline:meta` says so in the fields `FIELDS`.
"""

from collections.abc import Sequence
from math import gcd
from typing import NamedTuple, Self

from common.keys import FIRST_EPOCH

FIELDS = ("shards", "epoch", "next_shards", "next_epoch", "old_shards", "old_epoch")
# Since when `before` is not written any more: milliseconds by Redis' clock.
SINCE = "old_since"

Field = bytes | str | int | None


class Layout(NamedTuple):
    """So many shards, under keys of an epoch."""

    shards: int
    epoch: int = FIRST_EPOCH

    @classmethod
    def parse(cls, text: str) -> Self:
        """What `str` gave. Raises `ValueError`."""
        epoch, _, shards = text.partition(":")
        return cls(int(shards), int(epoch))

    def __str__(self) -> str:
        return f"{self.epoch}:{self.shards}"


class Layouts(NamedTuple):
    """The layouts of a moment: `now`, and one of the others at most."""

    now: Layout
    coming: Layout | None = None
    before: Layout | None = None

    @property
    def newest(self) -> Layout:
        """The one that is written, or that is about to be."""
        return self.coming or self.now

    @property
    def older(self) -> Layout | None:
        """The one that is left by it."""
        return self.now if self.coming is not None else self.before


def kin(shard: int, shards: int, others: int) -> range:
    """Those of `others` shards that have drivers in common with `shard` of `shards`.

    Both numbers are remainders of one hash, so they agree modulo the common divisor of the counts;
    by the Chinese remainder theorem no more than that is needed.
    """
    step = gcd(shards, others)
    return range(shard % step, others, step)


def read_layouts(fields: Sequence[Field]) -> Layouts | None:
    """The layouts that the `FIELDS` of the hash say; None where nothing was started yet."""
    now = _layout(fields[0], fields[1])
    if now is None:
        return None
    return Layouts(now, _layout(fields[2], fields[3]), _layout(fields[4], fields[5]))


def _layout(shards: Field, epoch: Field) -> Layout | None:
    return Layout(int(shards), int(epoch or FIRST_EPOCH)) if shards is not None else None
