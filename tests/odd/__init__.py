"""Odd requests of phone apps, one file an app: shape, field and value, and what becomes of them.

Each row says what is stored, what is counted, and whether the phone deletes what it sent. The
same rows are translated alone (`unit/apps/test_apps_odd.py`) and sent to a real ingest server
(`integration/apps/test_apps_odd.py`).
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

DELETED, KEPT = "deleted", "kept"
NOW = int(time.time())
# When the fixes of the tables were recorded, unless a row says otherwise.
AT = NOW - 60
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
# Bytes that no JSON writer gives for what they stand for; `raw` puts them into a body.
BAD_VALUES = {
    "NaN": b"NaN", "-Infinity": b"-Infinity", "nan": b"nan", "-nan": b"-nan", "inf": b"inf",
    "undefined": b"undefined", "nothing": b"", "1e999": b"1e999", "+5": b"+5", ".5": b".5",
    "05": b"05", "3,5": b"3,5", "True": b"True", "cut emoji, escaped": b'"\\ud83d"',
    "cut emoji, bytes": b'"\xf0\x9f"', "half a surrogate pair": b'"\xed\xa0\xbd"',
    "control character": b'"\x01"', "400 digits": b"1" * 400,
}  # fmt: skip
# Values that no number can be made of.
NO_NUMBERS: tuple[Any, ...] = (None, "", "x", True, [1], {"a": 1})


@dataclass(frozen=True)
class Odd:
    """A row: a request of an app, and what becomes of it."""

    name: str
    # Bytes as they are, anything else as JSON.
    body: Any = b""
    # For each fix in the stream, in its order: fields of the event that must be so.
    stored: Sequence[Mapping[str, Any]] = ()
    # Reason -> count, of what was not stored as it was sent.
    counts: Mapping[str, int] = field(default_factory=dict)
    phone: str = DELETED
    query: str = ""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    # The answer to a phone that is to keep what it sent.
    status: int = 422

    @property
    def content(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def iso(stamp: float = AT) -> str:
    """An ISO 8601 time."""
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="milliseconds")


def raw(message: object, value: bytes) -> bytes:
    """A message as JSON, with `value` in the place of its text "RAW"."""
    return json.dumps(message).encode().replace(b'"RAW"', value)


def weeks_ago(weeks: int) -> int:
    """A time that a clock shows which is so many weeks behind."""
    return AT - weeks * 7 * 86_400
