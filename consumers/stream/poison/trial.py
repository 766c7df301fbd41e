"""A pack that kills the process: its fixes are tried in parts, until the one that kills stands
alone. Pure.

An entry stands alone after some crashes (`consumers.stream.poison.crash`). From then on a record
of what is about to be tried is kept in Redis. A start that finds the record knows that its
predecessor died of that part, and begins with a tenth of it; the parts that are survived lead on
through the pack. A fix that was begun alone so often as `MAX_RETRIES` says is given up, and no
other.
"""

import re
from typing import NamedTuple

from consumers.stream.entry import Entry

# A part that killed is cut into this many. More parts mean fewer crashes, each of which holds up
# the shard for a restart; a part that is survived costs only a round trip or two.
PARTS = 10

_RECORD = re.compile(rb"(\d+-\d+) (\d+) (\d+) (\d+) ([01]) ((?:\d+(?:,\d+)*)?)")


class Trial(NamedTuple):
    """Places `begin` to before `end` of an entry's pack are to be tried.

    Those before were survived, but for the `killers`. `times`: how often a fix alone was begun
    and not survived. `begun`: the process has begun with them, and has not said that it lives.
    """

    entry_id: bytes
    begin: int
    end: int
    times: int = 0
    begun: bool = False
    killers: tuple[int, ...] = ()

    @property
    def record(self) -> bytes:
        """The trial as it is kept."""
        entry_id, begin, end, times, begun, killers = self
        return b"%s %d %d %d %d %s" % (
            *(entry_id, begin, end, times, begun),
            b",".join(b"%d" % place for place in killers),
        )

    def killer_names(self, entry: Entry) -> list[bytes]:
        """The names of the killers' positions in the entry's pack."""
        positions = entry.positions
        return [positions[place].name for place in self.killers if place < len(positions)]

    def is_over(self, count: int) -> bool:
        """Whether all `count` events of the pack were tried."""
        return self.begin >= count

    def survived(self, count: int) -> "Trial":
        """Go on behind this part, with as many."""
        width = self.end - self.begin
        return self._replace(begin=self.end, end=min(self.end + width, count), times=0, begun=False)

    def resumed(self, count: int, retries_max: int) -> "Trial":
        """What a successor begins with."""
        if not self.begun:
            return self
        trial = self._replace(begun=False)
        width = self.end - self.begin
        if width > 1:
            return trial._replace(end=self.begin + max(1, width // PARTS), times=0)
        if self.times + 1 < retries_max:
            return trial._replace(times=self.times + 1)
        killers = (*self.killers, self.begin)
        return trial._replace(begin=self.end, end=count, times=0, killers=killers)


def trial_of(entry: Entry, kept: Trial | None, retries_max: int) -> Trial:
    """How to begin with an entry, given the trial that a predecessor kept."""
    count = entry.fixes
    # A pack changes only where somebody rewrites the stream by hand.
    if kept is None or kept.entry_id != entry.id or kept.end > count:
        return Trial(entry.id, 0, count)
    return kept.resumed(count, retries_max)


def read_trial(record: bytes | None) -> Trial | None:
    """The trial that was kept, if there is one."""
    match = _RECORD.fullmatch(record or b"")
    if match is None:
        return None
    entry_id, begin, end, times, begun, killers = match.groups()
    places = tuple(int(place) for place in killers.split(b",") if place)
    return Trial(entry_id, int(begin), int(end), int(times), begun == b"1", places)
