"""Layouts: how many shards there are, and what changes when that number does. Pure.

A layout is a number of shards and an epoch, which is part of its keys' names, so two layouts have
no key in common. Two are there while the number changes. `now` is where ingest writes. `coming` is
made ready and not written yet; `before` is not written any more and still read from, until all
in it is stored and every position that may be shown is in the new one.

The hash `fleetline:meta` says so in the fields `FIELDS`. Who may write to Redis may have written
anything there: what is no layout is `UnreadableLayout`, and nobody acts on it.
"""

import re
from collections.abc import Sequence
from math import gcd
from typing import NamedTuple, Self

from common.errors import FleetlineError
from common.keys import FIRST_EPOCH, META

# More would need longer searches for tags (`common.slots`) and more processes than a system of
# this kind has; a number beyond that in Redis is rubbish, and must not be counted up to.
SHARDS_MAX = 1024
# One a change of the number of shards.
EPOCHS_MAX = 1_000_000
# Of rubbish, so much is said.
_SAID_CHARS = 40
_NUMBER = re.compile(r"[0-9]{1,15}")

FIELDS = ("shards", "epoch", "next_shards", "next_epoch", "old_shards", "old_epoch")
# Since when `before` is not written any more: milliseconds by Redis' clock.
SINCE = "old_since"

Field = bytes | str | int | None


class UnreadableLayout(FleetlineError):
    """The hash says what is no layout. Who runs goes on with what it knows; nobody starts."""


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
    """The layouts that the `FIELDS` of the hash say; None where nothing was started yet.

    Raises `UnreadableLayout`.
    """
    now, coming, before = (read_layout(*fields[n : n + 2]) for n in (0, 2, 4))
    if now is None:
        return None
    epochs = [layout.epoch for layout in (now, coming, before) if layout is not None]
    if len(epochs) == 3 or len(set(epochs)) < len(epochs):
        raise UnreadableLayout(f"{META} names layouts that cannot be there together: {epochs}")
    return Layouts(now, coming, before)


def read_layout(shards: Field, epoch: Field) -> Layout | None:
    """One of them; None where there is none. Raises `UnreadableLayout`."""
    if shards is None:
        return None
    count = _number("shards", shards, SHARDS_MAX)
    return Layout(count, FIRST_EPOCH if epoch is None else _number("epoch", epoch, EPOCHS_MAX))


def read_since(field: Field) -> int | None:
    """The time that `SINCE` says, in milliseconds. Raises `UnreadableLayout`."""
    return None if field is None else _number(SINCE, field, 10**15)


def _number(name: str, field: bytes | str | int, most: int) -> int:
    text = field.decode("ascii", "replace") if isinstance(field, bytes) else str(field)
    number = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= number <= most:
        said = text[:_SAID_CHARS]
        raise UnreadableLayout(f"{META} says {name} {said!r}, which is no number from 1 to {most}")
    return number
