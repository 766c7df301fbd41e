"""Lines for the fixes of a page that are followed (`common.trace`)."""

from collections.abc import Sequence

from common.trace import Stage, Tracing, now
from consumers.stream.entry import PlacedEvent


class PageTrace:
    """One stage's of shard `shard`. Costs a checksum a fix: left out while none is followed."""

    def __init__(self, tracing: Tracing, stage: Stage, shard: int) -> None:
        self._tracing = tracing
        self._stage = stage
        self._shard = shard
        self._read_at = ""

    def read(self) -> None:
        """A page is read."""
        self._read_at = now()

    def done(self, events: Sequence[PlacedEvent]) -> None:
        """The stage is through with these events."""
        picks = self._tracing.picks
        for placed in events:
            if picks(placed.payload):
                place = "" if placed.place is None else f"-{placed.place}"
                position = f"{self._shard}-{placed.entry_id.decode()}{place}"
                self._tracing.note(self._stage, placed.payload, id=position, read=self._read_at)
