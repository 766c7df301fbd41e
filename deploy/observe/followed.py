"""The way of a followed fix, put together from the lines that the roles left. Pure.

A fix is known by its trace id and its arrival: the id alone is a checksum, and may come again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from common.trace import ACTION, Stage

# Shown beside each other, in the order of a fix's way; `read` comes before what it led to.
STEPS = ("received", "on disk", "read (live)", "shown", "sent", "read (history)", "stored")
_AT = {
    Stage.ON_DISK: "on disk",
    Stage.SHOWN: "shown",
    Stage.SENT: "sent",
    Stage.STORED: "stored",
}
_READ = {Stage.SHOWN: "read (live)", Stage.STORED: "read (history)"}
_MARK = b'"' + ACTION.encode() + b'"'


@dataclass(slots=True)
class FollowedFix:
    """One fix. `times`: step → when it was first through with it."""

    trace: str
    driver: str
    received: datetime
    ids: set[str] = field(default_factory=set)
    times: dict[str, datetime] = field(default_factory=dict)

    def is_called(self, name: str) -> bool:
        """Whether `name` is its trace id, its message id or its driver."""
        return name in {self.trace, self.driver} or name in self.ids

    def steps(self) -> list[tuple[str, float]]:
        """Step and milliseconds since the arrival, as far as there are lines."""
        times = {"received": self.received, **self.times}
        return [
            (step, (times[step] - self.received).total_seconds() * 1000)
            for step in STEPS
            if step in times
        ]


def followed_fixes(lines: Iterable[bytes]) -> list[FollowedFix]:
    """All fixes that the lines of logs speak of, the oldest first. Other lines are passed over."""
    fixes: dict[tuple[str, datetime], FollowedFix] = {}
    for line in lines:
        if _MARK in line:
            try:
                _add(fixes, orjson.loads(line))
            except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
                # Cut off where a log was put aside, or somebody else's.
                continue
    return sorted(fixes.values(), key=lambda fix: fix.received)


def _add(fixes: dict[tuple[str, datetime], FollowedFix], line: dict[str, Any]) -> None:
    if line["event"] != ACTION:
        return
    stage, received = Stage(line["stage"]), datetime.fromisoformat(line["received"])
    at = datetime.fromisoformat(line["at"])
    read = datetime.fromisoformat(line["read"]) if stage in _READ and line["read"] else None
    key = (line["trace"], received)
    fix = fixes.setdefault(key, FollowedFix(line["trace"], line["driver"], received))
    if "id" in line:
        fix.ids.add(line["id"])
    # A redelivery is done again; what counts is when it was done first.
    fix.times[_AT[stage]] = min(at, fix.times.get(_AT[stage], at))
    if read is not None:
        fix.times[_READ[stage]] = min(read, fix.times.get(_READ[stage], read))
