"""What the fold says of a driver. Times are microseconds since 1970 (UTC), places degrees."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

SECOND_US = 1_000_000
# Summaries ask for hours and days of any time zone, and the offset of each of them (Nepal's and
# the Chatham Islands' included) is a whole number of quarters of an hour.
QUARTER_US = 900 * SECOND_US
HOUR_US = 3600 * SECOND_US
# Before every fix; a whole hour.
BEGINNING_US = -600_000 * HOUR_US

EndedBy = Literal["move", "gap"]


class Stop(NamedTuple):
    """The driver stayed near its first fix. `ended_by` is None while that goes on."""

    started_us: int
    ended_us: int
    latitude: float
    longitude: float
    fixes: int
    ended_by: EndedBy | None


class Trip(NamedTuple):
    """The movement between two stops or gaps. `speed_max` (km/h) is None where none is known."""

    started_us: int
    ended_us: int
    start_latitude: float
    start_longitude: float
    end_latitude: float
    end_longitude: float
    distance_m: float
    moving_us: int
    speed_max: float | None
    fixes: int
    open: bool


class Gap(NamedTuple):
    """No fix came for longer than GAP_S: from the last fix before to the first one after."""

    started_us: int
    ended_us: int


class Quarter(msgspec.Struct, array_like=True, gc=False):
    """Sums of a quarter of an hour. `tracked_us` is time without gaps; what of it is not
    `moving_us` the driver stood still. `first_us` is -1 where no fix lies in the quarter.
    """

    start_us: int
    first_us: int = -1
    last_us: int = -1
    fixes: int = 0
    distance_m: float = 0.0
    tracked_us: int = 0
    moving_us: int = 0
    over_limit_us: int = 0
    speed_max: float = -1.0


class CellHour(msgspec.Struct, array_like=True, gc=False):
    """Sums of an hour in one H3 cell; `stops` that began there and then. `changed` is the fold's:
    whether it says something else than when results were taken last.
    """

    hour_us: int
    cell: int
    fixes: int = 0
    stops: int = 0
    distance_m: float = 0.0
    moving_us: int = 0
    changed: bool = False


@dataclass(slots=True)
class Results:
    """What is to be stored: absolute values, so that storing them twice changes nothing."""

    stops: list[Stop] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    quarters: list[Quarter] = field(default_factory=list)
    cells: list[CellHour] = field(default_factory=list)
