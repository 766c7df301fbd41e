"""Drivers that move plausibly: pure, and the same for the same seed.

Each drives straight for a while, turns at corners, and keeps within a box around its city, so
that a map of them looks like one.
"""

import math
import random
from dataclasses import dataclass

# Liverpool, as the example trace; degrees.
CENTRE = (53.4084, -2.9916)
# Half the side of the box they stay in, degrees of latitude: about 6 km.
REACH_DEG = 0.055
METRES_PER_DEG = 111_320.0
SPEED_KMH = (18.0, 60.0)


@dataclass(slots=True)
class SimulatedDriver:
    """One driver with an order; degrees, km/h, degrees from north."""

    driver_id: str
    order_id: str
    latitude: float
    longitude: float
    heading: float
    speed: float
    moved_at_s: float = 0.0

    def move(self, now_s: float, rng: random.Random) -> None:
        """Drive on to `now_s`; at times a corner, and always back towards the centre outside."""
        elapsed_s = min(60.0, max(0.0, now_s - self.moved_at_s))
        self.moved_at_s = now_s
        if rng.random() < elapsed_s / 20:
            self.heading = (self.heading + rng.choice((-90, 90))) % 360
        self.speed = min(max(self.speed + rng.gauss(0, 2), SPEED_KMH[0]), SPEED_KMH[1])
        north, east = CENTRE[0] - self.latitude, CENTRE[1] - self.longitude
        if max(abs(north), abs(east) * math.cos(math.radians(CENTRE[0]))) > REACH_DEG:
            self.heading = math.degrees(math.atan2(east, north)) % 360
        way_deg = self.speed / 3.6 * elapsed_s / METRES_PER_DEG
        angle = math.radians(self.heading)
        self.latitude += way_deg * math.cos(angle)
        self.longitude += way_deg * math.sin(angle) / math.cos(math.radians(self.latitude))

    def fix(self, recorded_at: str) -> dict[str, object]:
        """The fix it sends now."""
        return {
            "driver_id": self.driver_id,
            "order_id": self.order_id,
            "latitude": round(self.latitude, 6),
            "longitude": round(self.longitude, 6),
            "speed": round(self.speed, 1),
            "heading": round(self.heading, 1) % 360,
            "accuracy": 5.0,
            "recorded_at": recorded_at,
        }


def make_drivers(count: int, rng: random.Random) -> list[SimulatedDriver]:
    """`count` drivers, spread over the box."""
    return [
        SimulatedDriver(
            driver_id=f"demo-{number:04}",
            order_id=f"demo-order-{number:04}",
            latitude=CENTRE[0] + rng.uniform(-REACH_DEG, REACH_DEG),
            longitude=CENTRE[1] + rng.uniform(-REACH_DEG, REACH_DEG) * 1.6,
            heading=rng.uniform(0, 360),
            speed=rng.uniform(*SPEED_KMH),
        )
        for number in range(1, count + 1)
    ]
