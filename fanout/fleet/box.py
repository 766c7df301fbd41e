"""Operators' boxes and what is collected for them. Pure.

A box has one state, however many operators subscribe to it: the newest position per driver that
nobody was shown yet. It is taken once a second, so at most one per driver and second reaches
anybody; and it remembers the times, so nobody is shown an older one after a newer.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from common.errors import Fault, InvalidUpdate
from common.event import Moment, effective_time
from common.numbers import BBOX_DETAIL, read_bbox

# Positions of a frame: the default, and the most that may be asked for (about 1.2 MB).
POSITIONS_DEFAULT: Final = 1_000
POSITIONS_MAX: Final = 5_000
# Drivers that one box remembers, about 20 MB; past it those silent for longest are forgotten.
BOX_DRIVERS_MAX: Final = 50_000
# A searched piece is no wider than this: beyond it, the search area of Redis' geo index is no
# longer a box around one centre.
PIECE_DEGREES_MAX: Final = 60.0
# The geo index ends here (web Mercator).
GEO_LATITUDE_MAX: Final = 85.05112878
# Earth radius of Redis' geo commands, in metres (geohash_helper.c).
EARTH_RADIUS_M: Final = 6_372_797.560856

FRAME_PREFIX: Final = b'{"type":"positions","data":['
FRAME_SUFFIX: Final = b"]}"


class Position(Moment, gc=False, kw_only=True):
    """What must be read of an event to place it in space and time."""

    driver_id: str
    latitude: float
    longitude: float


Batch = list[tuple[Position, bytes]]


@dataclass(frozen=True, slots=True)
class Box:
    """Degrees WGS84. West greater than east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether the point is inside, edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east

    def pieces(self) -> Iterator["Box"]:
        """The same area as boxes that neither cross the antimeridian nor are very wide."""
        spans = (
            [(self.west, self.east)]
            if self.west <= self.east
            else [(self.west, 180.0), (-180.0, self.east)]
        )
        south, north = max(self.south, -GEO_LATITUDE_MAX), min(self.north, GEO_LATITUDE_MAX)
        for west, east in spans:
            count = max(1, math.ceil((east - west) / PIECE_DEGREES_MAX))
            step = (east - west) / count
            for i in range(count):
                edge = east if i + 1 == count else west + (i + 1) * step
                yield Box(west + i * step, south, edge, north)

    def search(self) -> tuple[float, float, float, float]:
        """Longitude and latitude of the centre, width and height in metres, for a piece.

        The width is taken where the box is widest, so the search finds all of it and a little
        more; `holds` decides.
        """
        widest = 0.0 if self.south <= 0 <= self.north else min(abs(self.south), abs(self.north))
        per_degree = math.pi / 180 * EARTH_RADIUS_M
        width_m = (self.east - self.west) * per_degree * math.cos(math.radians(widest))
        height_m = (self.north - self.south) * per_degree
        # A thousandth more: the index rounds positions to about half a metre.
        return (
            (self.west + self.east) / 2,
            (self.south + self.north) / 2,
            width_m * 1.001 + 2,
            height_m * 1.001 + 2,
        )


@dataclass(frozen=True, slots=True)
class BoxSubscription:
    """What an operator asked for: a box, and the most positions of a frame."""

    box: Box
    positions_max: int


def parse_subscription(bbox: str | None, positions: str | None) -> BoxSubscription:
    """Read `bbox=w,s,e,n` and `n`. Raises `InvalidUpdate` naming every field at fault."""
    faults = []
    edges = read_bbox(bbox or "")
    if edges is None:
        faults.append(Fault("bbox", BBOX_DETAIL))
    text = (positions or "").strip()
    count = POSITIONS_DEFAULT
    if text:
        valid = text.isascii() and text.isdigit() and len(text) < 10
        count = int(text) if valid else 0
        if not 1 <= count <= POSITIONS_MAX:
            faults.append(Fault("n", f"must be within 1…{POSITIONS_MAX}"))
    if faults or edges is None:
        detail = "; ".join(f"{fault.field}: {fault.detail}" for fault in faults)
        raise InvalidUpdate(detail, faults=tuple(faults))
    return BoxSubscription(Box(*edges), count)


_decode_batch = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_position = msgspec.json.Decoder(Position).decode


def read_batch(payload: bytes) -> Batch:
    """Events of a fleet message with where they are. Raises `msgspec.DecodeError`."""
    # The bytes are copied: a slice would keep the whole message alive for one driver's sake.
    return [(_decode_position(raw), bytes(raw)) for raw in _decode_batch(payload)]


def read_events(events: Iterable[bytes]) -> Batch:
    """Single events, as `read_batch`."""
    return [(_decode_position(event), event) for event in events]


def newest_of(batch: Batch) -> Batch:
    """Of each driver the newest position alone."""
    newest: dict[str, tuple[Position, bytes]] = {}
    for position, event in batch:
        known = newest.get(position.driver_id)
        if known is None or effective_time(position) > effective_time(known[0]):
            newest[position.driver_id] = (position, event)
    return list(newest.values())


class BoxState:
    """Newest position per driver in one box that nobody was shown yet."""

    __slots__ = ("_shown_until", "_waiting", "box")

    def __init__(self, box: Box) -> None:
        self.box = box
        self._waiting: dict[str, bytes] = {}
        # Effective time of the newest position of each driver that came by.
        self._shown_until: dict[str, tuple[datetime, datetime]] = {}

    def add(self, batch: Batch, oldest: datetime) -> None:
        """Keep what lies in the box, is newer than what came before, and not before `oldest`."""
        holds, shown_until = self.box.holds, self._shown_until
        for position, event in batch:
            if not holds(position.latitude, position.longitude):
                continue
            driver_id, moment = position.driver_id, effective_time(position)
            if moment[0] < oldest:
                continue
            known = shown_until.pop(driver_id, None)
            # Taken out and put back: the order of the keys is that of the last positions.
            shown_until[driver_id] = moment if known is None or moment > known else known
            if known is None or moment > known:
                self._waiting[driver_id] = event
        while len(shown_until) > BOX_DRIVERS_MAX:
            quietest = next(iter(shown_until))
            del shown_until[quietest]
            self._waiting.pop(quietest, None)

    def take(self) -> list[bytes]:
        """All that waited."""
        events = list(self._waiting.values())
        self._waiting.clear()
        return events


def positions_frames(events: list[bytes], positions_max: int) -> Iterator[bytes]:
    """Payloads of at most `positions_max` positions each."""
    for start in range(0, len(events), positions_max):
        yield FRAME_PREFIX + b",".join(events[start : start + positions_max]) + FRAME_SUFFIX
