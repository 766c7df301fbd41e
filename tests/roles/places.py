"""Drivers around circles, and what must come of their fixes: an oracle that shares no code.

The oracle works over the fixes in live order: the order of the stream, without those that are not
newer than all before them. It knows circles and no trees, and keeps the rules in its own words.
"""

import math
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import asyncpg
import orjson

from common.event import LocationUpdate, encode_event

START = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=60)
# What the oracle says of an event, and a row of `events` has: type, driver, fence, recorded_at.
Told = tuple[str, str, str | None, datetime]
M_DEGREE = math.pi / 180 * 6_371_008.8


class Circle(NamedTuple):
    """A fence: degrees, metres, seconds."""

    name: str
    latitude: float
    longitude: float
    radius_m: float
    dwell_s: float


class Fix(NamedTuple):
    """A fix as it comes: its driver, both times, where."""

    driver: str
    recorded_at: datetime
    received_at: datetime
    latitude: float
    longitude: float
    accuracy: float

    @property
    def payload(self) -> bytes:
        """The event's bytes."""
        update = LocationUpdate(
            latitude=self.latitude, longitude=self.longitude, accuracy=self.accuracy
        )
        return encode_event(self.driver, update, self.recorded_at, self.received_at)


def circles(count: int, seed: int = 1) -> list[Circle]:
    """Circles in a square of two kilometres."""
    rng = random.Random(seed)
    return [
        Circle(
            f"fence-{n}",
            53.4 + rng.uniform(-0.009, 0.009),
            -2.9 + rng.uniform(-0.015, 0.015),
            rng.choice((50.0, 120.0, 250.0)),
            rng.choice((3.0, 10.0)),
        )
        for n in range(count)
    ]


def walks(drivers: int, fixes: int, seed: int = 1) -> list[Fix]:
    """Drivers that wander among the circles, a fix a second each, as they arrive: most in order,
    some seconds late, some twice, some dated in the future.
    """
    rng = random.Random(seed)
    found: list[tuple[float, Fix]] = []
    for n in range(drivers):
        latitude, longitude = 53.4, -2.9
        north = east = 0.0
        for second in range(fixes):
            north, east = north * 0.9 + rng.gauss(0, 8), east * 0.9 + rng.gauss(0, 8)
            latitude += north / M_DEGREE - (latitude - 53.4) * 0.01
            longitude += east / M_DEGREE / 0.6 - (longitude + 2.9) * 0.01
            # No two fixes of a run are dated alike.
            recorded = START + timedelta(seconds=second, microseconds=n)
            late = rng.choice((0.0, 0.0, 0.0, 0.2, 1.5, 4.0))
            if rng.random() < 0.02:
                recorded += timedelta(seconds=rng.uniform(1, 20))
            arrival = START + timedelta(seconds=second + late, microseconds=n)
            place = latitude + rng.gauss(0, 1e-5), longitude + rng.gauss(0, 1e-5)
            fix = Fix(f"driver-{n}", recorded, arrival, *place, rng.choice((3.0, 10.0, 60.0)))
            found.append((second + late, fix))
            if rng.random() < 0.05:
                again = second + late + rng.uniform(0, 5)
                found.append((again, fix._replace(received_at=START + timedelta(seconds=again))))
    return [fix for _, fix in sorted(found, key=lambda pair: pair[0])]


def metres(circle: Circle, fix: Fix) -> float:
    """From the circle's middle, on the sphere."""
    a, b = math.radians(circle.latitude), math.radians(fix.latitude)
    across = math.radians(fix.longitude - circle.longitude)
    along = math.sin((b - a) / 2) ** 2
    along += math.cos(a) * math.cos(b) * math.sin(across / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(along))


def oracle(fixes: Iterable[Fix], fences: Sequence[Circle]) -> list[Told]:
    """What happens, driver by driver in order; nobody is silent for long."""
    newest: dict[str, tuple[datetime, datetime]] = {}
    inside: dict[tuple[str, str], list[object]] = {}
    told: list[Told] = []
    for fix in fixes:
        seen = min(fix.recorded_at, fix.received_at), fix.recorded_at
        if fix.driver in newest and seen <= newest[fix.driver]:
            continue
        if fix.driver not in newest:
            told.append(("driver.online", fix.driver, None, fix.recorded_at))
        newest[fix.driver] = seen
        for fence in fences:
            key, away = (fix.driver, fence.name), metres(fence, fix)
            visit = inside.get(key)
            if visit is None:
                if away <= fence.radius_m:
                    inside[key] = [seen[0], False, 0]
                    told.append(("geofence.enter", *key, fix.recorded_at))
                continue
            clear = away - fence.radius_m >= max(20, fence.radius_m / 5)
            clear = clear and away - fence.radius_m > fix.accuracy
            visit[2] = visit[2] + 1 if clear else 0  # type: ignore[operator]
            if visit[2] == 2:
                del inside[key]
                told.append(("geofence.exit", *key, fix.recorded_at))
                continue
            stayed = (seen[0] - visit[0]).total_seconds()  # type: ignore[operator]
            if not clear and not visit[1] and stayed >= fence.dwell_s:
                visit[1] = True
                told.append(("geofence.dwell", *key, fix.recorded_at))
    return told


def by_driver(told: Iterable[Told]) -> dict[str, list[set[Told]]]:
    """Each driver's events in order; those of one fix, and all exits and enters in it, together."""
    found: dict[str, list[tuple[datetime, set[Told]]]] = defaultdict(list)
    for event in told:
        steps = found[event[1]]
        if steps and steps[-1][0] == event[3]:
            steps[-1][1].add(event)
        else:
            steps.append((event[3], {event}))
    return {driver: [step for _, step in steps] for driver, steps in found.items()}


async def put_fences(connection: asyncpg.Connection, fences: Iterable[Circle]) -> None:
    """Store fences as the API does."""
    await connection.executemany(
        "INSERT INTO geofences (geofence_id, name, geometry, radius_m, vertices, dwell_s, active,"
        " created_at, updated_at, version) VALUES ($1, $1, $2, $3, 1, $4, true, now(), now(), $5)",
        [
            (
                fence.name,
                orjson.dumps(
                    {"type": "Point", "coordinates": [fence.longitude, fence.latitude]}
                ).decode(),
                fence.radius_m,
                fence.dwell_s,
                number + 1,
            )
            for number, fence in enumerate(fences)
        ],
    )
    await connection.execute("UPDATE geofence_changes SET version = version + 1")


async def told_in(connection: asyncpg.Connection) -> list[Told]:
    """What the table says happened, in the order of the feed."""
    rows = await connection.fetch(
        "SELECT type, driver_id, geofence_id, recorded_at FROM events ORDER BY seq"
    )
    return [tuple(row) for row in rows]
