"""Following one fix: which fixes leave lines in the log, and what stands in a line.

One fix of TRACE_SAMPLE is followed. Which one is decided by its event's bytes, which are the same
at every stage, so all of them choose the same fixes without telling each other. `fleetline trace`
puts the lines of a fix together again.
"""

from datetime import UTC, datetime
from enum import StrEnum
from zlib import crc32

import orjson

from common.log import get

ACTION = "trace"
_log = get("trace")


class Stage(StrEnum):
    """Where a fix is, in the order of its way. `received` and `read` stand in lines of others."""

    # Ingest: the entry is on the disk of Redis.
    ON_DISK = "on_disk"
    # Consumer: the live position is written and published.
    SHOWN = "shown"
    # Consumer: the row is committed.
    STORED = "stored"
    # Fan-out: the frame is written to the sockets that watch.
    SENT = "sent"


class Tracing:
    """Follows one of `sample` fixes; 0: none."""

    def __init__(self, sample: int) -> None:
        self._sample = sample

    @property
    def on(self) -> bool:
        """Whether any fix is followed."""
        return self._sample > 0

    def picks(self, event: bytes) -> bool:
        """Whether the fix with these bytes is followed. Ask only while `on`."""
        return crc32(event) % self._sample == 0

    def note(self, stage: Stage, event: bytes, **times: object) -> None:
        """Leave a line: the fix is through `stage` now. `times` and the like are shown as given."""
        fix = orjson.loads(event)
        _log.info(
            ACTION,
            trace=trace_id(event),
            stage=stage.value,
            driver=fix["driver_id"],
            received=fix["received_at"],
            at=now(),
            **times,
        )


def trace_id(event: bytes) -> str:
    """How a followed fix is called in the log: 8 hexadecimal digits of its bytes' CRC-32."""
    return f"{crc32(event):08x}"


def now() -> str:
    """The time as lines have it: RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
