"""The dead letter: one declaration of its fields, for its writer and its readers.

A dead letter is an event that can never be stored, kept whole in the stream `dead:{T}` with the
reason. Its fields are those of `DeadLetter`, in their order, under their names; only `entry_id`
stands in Redis as `id`. Pure: the caller brings the time.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from common import __version__

# The fixed list of reasons; people filter by it.
UNDECODABLE = "undecodable"
REFUSED = "refused_by_database"
CRASHED = "killed_the_worker"
REASONS = (UNDECODABLE, REFUSED, CRASHED)

# An error's text can hold the whole row; what matters stands at its beginning.
ERROR_CHARS_MAX = 2000
# A driver's id may be anything in a broken payload, which is kept whole beside it.
DRIVER_CHARS_MAX = 100


class DeadLetter(NamedTuple):
    """An event that can never be stored. Times are RFC 3339; what is not known is empty or 0."""

    # The stream id of the entry that the event came in, as Redis writes it; where the entry holds
    # several events, with `/<place>` behind.
    entry_id: bytes
    # The event's bytes as the stream had them.
    payload: bytes
    driver_id: str
    # One of REASONS.
    reason: str
    error: str = ""
    sqlstate: str = ""
    # How often the database refused it.
    attempts: int = 0
    # The last four are for `stamped` to fill in.
    shard: int = 0
    first_seen: str = ""
    failed_at: str = ""
    version: str = ""

    @property
    def stream_id(self) -> bytes:
        """The stream id of the entry alone."""
        return self.entry_id.partition(b"/")[0]

    def stamped(self, shard: int, now: datetime) -> "DeadLetter":
        """The letter as it is written: with its shard, both times and our version, and cut."""
        return self._replace(
            driver_id=self.driver_id[:DRIVER_CHARS_MAX],
            error=self.error[:ERROR_CHARS_MAX],
            shard=shard,
            first_seen=first_seen(self.entry_id),
            failed_at=now.isoformat(),
            version=__version__,
        )

    def fields(self) -> list[str | bytes | int]:
        """Names and values in turn, as XADD takes them."""
        values: tuple[str | bytes | int, ...] = self
        return [part for item in zip(FIELD_NAMES, values, strict=True) for part in item]


# The names in Redis, in the order of the values.
FIELD_NAMES = tuple("id" if name == "entry_id" else name for name in DeadLetter._fields)


def read_dead_letter(fields: Mapping[bytes, bytes]) -> DeadLetter:
    """Read a letter as XRANGE gives it. Never fails: another version may have written it."""
    values: list[Any] = []
    for stored_as, kind in zip(FIELD_NAMES, DeadLetter.__annotations__.values(), strict=True):
        raw = fields.get(stored_as.encode(), b"")
        if kind is int:
            values.append(int(raw) if raw.isdigit() and len(raw) < 20 else 0)
        else:
            values.append(raw if kind is bytes else text_of(raw))
    return DeadLetter(*values)


def text_of(data: bytes) -> str:
    r"""Bytes as text; those that are not UTF-8 as \xff."""
    return data.decode("utf-8", "backslashreplace")


def first_seen(entry_id: bytes) -> str:
    """When an entry was put in the stream (RFC 3339): its id says it, in milliseconds."""
    ms = int(entry_id.partition(b"-")[0])
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def driver_in(payload: bytes) -> str:
    """The driver a broken payload seems to speak of; empty when it does not say."""
    try:
        driver_id = orjson.loads(payload)["driver_id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    return driver_id if isinstance(driver_id, str) else ""
