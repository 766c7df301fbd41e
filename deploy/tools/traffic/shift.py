"""A plausible working day of a driver: drives, stops, a break, noise, a tunnel. Pure.

The same seed makes the same day.
"""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from heapq import merge

from deploy.tools.traffic.drivers import METRES_PER_DEG, SimulatedDriver, make_drivers

# Nine hours, until now.
SHIFT_S = 9 * 3600
# A phone sends more often while it moves.
MOVING_EVERY_S = 10
STANDING_EVERY_S = 30
# Minutes of a drive, of standing at an address, and of the break in the middle of the day.
DRIVE_MIN = (4, 18)
STOP_MIN = (3, 11)
BREAK_MIN = 35
# What a phone under the sky is off by, in metres.
NOISE_M = 4.0
# Once in so many drives nothing is heard for as many minutes: a car park, an empty battery.
SILENCE_IN = 15
SILENCE_MIN = (16, 25)


def fixes_of_shift(
    driver: SimulatedDriver, start: datetime, rng: random.Random
) -> Iterator[tuple[datetime, dict[str, object]]]:
    """The fixes of one driver's shift, in order of time."""
    now_s = rng.uniform(0, 900)
    end_s = SHIFT_S - rng.uniform(0, 900)
    rested = False
    driver.moved_at_s = now_s
    while now_s < end_s:
        drive_s = rng.uniform(*DRIVE_MIN) * 60
        yield from _some(driver, start, now_s, min(now_s + drive_s, end_s), rng, moving=True)
        now_s += drive_s
        if rng.random() < 1 / SILENCE_IN:
            now_s += rng.uniform(*SILENCE_MIN) * 60
        stop_s = rng.uniform(*STOP_MIN) * 60
        if not rested and now_s > SHIFT_S / 2:
            rested, stop_s = True, BREAK_MIN * 60.0
        yield from _some(driver, start, now_s, min(now_s + stop_s, end_s), rng, moving=False)
        now_s += stop_s
        driver.moved_at_s = now_s


def _some(
    driver: SimulatedDriver,
    start: datetime,
    from_s: float,
    to_s: float,
    rng: random.Random,
    *,
    moving: bool,
) -> Iterator[tuple[datetime, dict[str, object]]]:
    every_s = MOVING_EVERY_S if moving else STANDING_EVERY_S
    now_s = from_s
    while now_s < to_s:
        if moving:
            driver.move(now_s, rng)
        when = start + timedelta(seconds=round(now_s, 3))
        fix = driver.fix(when.isoformat().replace("+00:00", "Z"))
        for axis in ("latitude", "longitude"):
            value = fix[axis]
            noise = rng.gauss(0, NOISE_M / METRES_PER_DEG)
            fix[axis] = round(value + noise, 6) if isinstance(value, float) else value
        if not moving:
            fix |= {"speed": 0.0}
        yield when, fix
        now_s += every_s


def day_of_fleet(
    count: int, end: datetime, seed: int
) -> Iterator[tuple[datetime, dict[str, object]]]:
    """The shifts of `count` drivers that end about `end`, all together in order of time."""
    rng = random.Random(seed)  # noqa: S311 - nothing secret is drawn
    start = end - timedelta(seconds=SHIFT_S)
    shifts = (
        fixes_of_shift(driver, start, random.Random(f"{seed}-{driver.driver_id}"))  # noqa: S311
        for driver in make_drivers(count, rng)
    )
    return merge(*shifts, key=lambda fix: fix[0])
