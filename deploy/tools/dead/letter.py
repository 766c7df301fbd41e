"""A dead letter as people see it, and the times and ids they type: pure.

A letter may hold any bytes. What is shown escapes whatever is not printable, so that a payload
can neither move a terminal's cursor nor forge a line; JSON carries the bytes themselves, too.
"""

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from common.errors import ConfigError
from common.shards import Shard
from common.stream.dead_letter import DeadLetter, text_of

_ID = re.compile(r"((?:\d{1,9}\.)?\d{1,4})-(\d{1,20}-\d{1,20})\Z")
_AGE = re.compile(r"(\d{1,6})([smhdw])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class StoredLetter:
    """A dead letter and where it lies: its shard, and its stream id in that shard's letters."""

    shard: Shard
    stream_id: str
    letter: DeadLetter

    @property
    def name(self) -> str:
        """What people call it: `<shard>-<stream id>`, with the shard's name (`common.shards`)."""
        return f"{self.shard.name}-{self.stream_id}"

    @property
    def age_order(self) -> tuple[int, int, str]:
        """Greater is newer, also across shards."""
        ms, _, sequence = self.stream_id.partition("-")
        return int(ms), int(sequence), self.shard.name

    def shown(self) -> dict[str, object]:
        """All of it for JSON; bytes that are not text are escaped, and exact in base64."""
        payload = self.letter.payload
        return {
            "id": self.name,
            **self.letter._asdict(),
            "entry_id": text_of(self.letter.entry_id),
            "shard": self.shard.index,
            "payload": text_of(payload),
            "payload_base64": base64.b64encode(payload).decode(),
        }


def parse_name(name: str) -> tuple[str, str]:
    """A shard's name, and the stream id, of a letter's name. Raises `ConfigError`."""
    match = _ID.match(name)
    if match is None:
        raise ConfigError(f"ID: must be as `fleetline dead list` shows it, not {name!r}")
    return match[1], match[2]


def parse_time(option: str, text: str, now: datetime) -> datetime:
    """A moment: an age like 2h or 3d before `now`, or RFC 3339. Raises `ConfigError`."""
    age = _AGE.match(text)
    try:
        when = (
            now - timedelta(**{_UNITS[age[2]]: int(age[1])})
            if age is not None
            else datetime.fromisoformat(text)
        )
        if when.tzinfo is not None:
            return when.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ConfigError(
        f"{option}: must be an age like 45s, 30m, 2h, 3d or 1w, "
        f"or a time like 2026-01-01T10:00:00Z, not {text!r}"
    )


def stream_moment(when: datetime) -> str:
    """The smallest stream id of that moment or later: ids begin with milliseconds."""
    return str(max(0, int(when.timestamp() * 1000)))
