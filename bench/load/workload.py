"""The workload: drivers on a grid of streets, with orders that start and end. Pure and seeded.

The same seed gives the same fixes, on every machine. Streets are a square grid that is turned a
little, as in most cities; a driver goes along one, turns at some crossings, waits at some lights.
A second workload lets the drivers follow a recorded trace, each from another place in it.
"""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from deploy.tools.trace.trace import Trace

# Liverpool, where the recorded trace comes from; degrees.
CENTRE = (53.4084, -2.9916)
METRES_PER_DEG = 111_320.0
BLOCK_M = 120.0
# Blocks on a side of the city: 12 km.
BLOCKS = 100
# The grid is turned by this much from north, in degrees.
TILT_DEG = 17.0
SPEED_KMH = (15.0, 55.0)
TURN_SHARE = 0.3
LIGHT_SHARE = 0.08
# A driver sends this often; the paths are made in steps of it.
STEP_S = 5.0
# Fixes of an order: 5 to 30 minutes.
ORDER_STEPS = (60, 360)
# Fixes between two orders.
PAUSE_STEPS = (0, 12)

# Unit steps along the grid, clockwise from its own north: (east, north).
_WAYS = ((0, 1), (1, 0), (0, -1), (-1, 0))


@dataclass(frozen=True, slots=True)
class Fix:
    """One fix without its time; degrees, km/h, degrees from north, metres."""

    driver_id: str
    order_id: str | None
    latitude: float
    longitude: float
    speed: float
    heading: float
    accuracy: float

    def values(self) -> dict[str, object]:
        """As the API takes it, without driver and time."""
        found: dict[str, object] = {
            "latitude": self.latitude,
            "longitude": self.longitude,
            "speed": self.speed,
            "heading": self.heading,
            "accuracy": self.accuracy,
        }
        if self.order_id is not None:
            found["order_id"] = self.order_id
        return found


class _Order:
    """Which order a driver has: a run of fixes with it, a pause without, then the next."""

    __slots__ = ("left", "number", "pausing")

    def __init__(self, rng: random.Random) -> None:
        self.number = 0
        # Orders are under way when the workload begins.
        self.left = rng.randint(1, ORDER_STEPS[1])
        self.pausing = False

    def step(self, driver_id: str, rng: random.Random) -> str | None:
        if self.left == 0:
            self.pausing = not self.pausing
            self.left = rng.randint(*(PAUSE_STEPS if self.pausing else ORDER_STEPS))
            self.number += self.pausing
            if self.left == 0:
                self.pausing = False
                self.left = rng.randint(*ORDER_STEPS)
        self.left -= 1
        return None if self.pausing else f"{driver_id}-{self.number}"


class _Vehicle:
    """One driver on the grid; metres from its corner."""

    __slots__ = ("driver_id", "east_m", "north_m", "order", "speed", "way")

    def __init__(self, number: int, rng: random.Random) -> None:
        self.driver_id = driver_of(number)
        self.east_m = rng.randrange(BLOCKS) * BLOCK_M
        self.north_m = rng.randrange(BLOCKS) * BLOCK_M
        self.way = rng.randrange(4)
        self.speed = rng.uniform(*SPEED_KMH)
        self.order = _Order(rng)

    def step(self, rng: random.Random) -> Fix:
        self.speed = min(max(self.speed + rng.gauss(0, 4), SPEED_KMH[0]), SPEED_KMH[1])
        waits = rng.random() < LIGHT_SHARE
        left_m = 0.0 if waits else self.speed / 3.6 * STEP_S
        while left_m > 0:
            left_m = self._to_crossing(left_m, rng)
        latitude, longitude = _degrees(self.east_m, self.north_m)
        return Fix(
            self.driver_id,
            self.order.step(self.driver_id, rng),
            round(latitude + rng.gauss(0, 2e-5), 6),
            round(longitude + rng.gauss(0, 3e-5), 6),
            0.0 if waits else round(self.speed, 1),
            round((self.way * 90 + TILT_DEG) % 360, 1),
            round(rng.uniform(3, 12), 1),
        )

    def _to_crossing(self, left_m: float, rng: random.Random) -> float:
        """Drive to the next crossing, or as far as it goes; what is left of the way."""
        east, north = _WAYS[self.way]
        along = self.east_m * east + self.north_m * north
        gap_m = BLOCK_M - along % BLOCK_M
        driven_m = min(left_m, gap_m)
        self.east_m += east * driven_m
        self.north_m += north * driven_m
        if driven_m == gap_m:
            # On the crossing exactly: sums of fractions must not leave the street.
            self.east_m = round(self.east_m / BLOCK_M) * BLOCK_M if east else self.east_m
            self.north_m = round(self.north_m / BLOCK_M) * BLOCK_M if north else self.north_m
            if rng.random() < TURN_SHARE:
                self.way = (self.way + rng.choice((1, 3))) % 4
            self._keep_in_town()
        return left_m - driven_m

    def _keep_in_town(self) -> None:
        east, north = _WAYS[self.way]
        ahead = (self.east_m + east * BLOCK_M, self.north_m + north * BLOCK_M)
        if not all(0 <= metres <= BLOCKS * BLOCK_M for metres in ahead):
            self.way = (self.way + 2) % 4


def driver_of(number: int) -> str:
    """Id of the driver of this number."""
    return f"bench-{number:06}"


def first_order(number: int) -> str:
    """Id of the order that the driver of this number has at the beginning."""
    return f"{driver_of(number)}-0"


def streets(seed: int, drivers: int) -> Iterator[Fix]:
    """Fixes without end: all drivers in turn, a step at a time."""
    rng = random.Random(seed)
    vehicles = [_Vehicle(number, rng) for number in range(drivers)]
    while True:
        for vehicle in vehicles:
            yield vehicle.step(rng)


def recorded(seed: int, drivers: int, trace: Trace) -> Iterator[Fix]:
    """Fixes without end along a recorded trace, each driver from another place in it."""
    rng = random.Random(seed)
    path = _path(trace)
    places = [rng.randrange(len(path)) for _ in range(drivers)]
    orders = [_Order(rng) for _ in range(drivers)]
    while True:
        for number in range(drivers):
            driver_id = driver_of(number)
            latitude, longitude, heading = path[places[number]]
            places[number] = (places[number] + 1) % len(path)
            order_id = orders[number].step(driver_id, rng)
            yield Fix(driver_id, order_id, latitude, longitude, 30.0, heading, 5.0)


def _path(trace: Trace) -> Sequence[tuple[float, float, float]]:
    """Positions of the trace with the heading to the next one."""
    by_driver = sorted(trace.fixes, key=lambda f: (str(f.values["driver_id"]), f.recorded_at))
    points = [(_number(f.values["latitude"]), _number(f.values["longitude"])) for f in by_driver]
    return [(a[0], a[1], _heading(a, b)) for a, b in pairwise([*points, points[0]])]


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _heading(a: tuple[float, float], b: tuple[float, float]) -> float:
    east = (b[1] - a[1]) * math.cos(math.radians(a[0]))
    return round(math.degrees(math.atan2(east, b[0] - a[0])), 1) % 360


def _degrees(east_m: float, north_m: float) -> tuple[float, float]:
    """From the grid to the globe: turned, and centred on the city."""
    half_m = BLOCKS * BLOCK_M / 2
    x, y = east_m - half_m, north_m - half_m
    sine, cosine = math.sin(math.radians(TILT_DEG)), math.cos(math.radians(TILT_DEG))
    east, north = x * cosine + y * sine, y * cosine - x * sine
    latitude = CENTRE[0] + north / METRES_PER_DEG
    return latitude, CENTRE[1] + east / METRES_PER_DEG / math.cos(math.radians(latitude))
