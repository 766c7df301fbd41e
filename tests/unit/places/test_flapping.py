"""How often somebody comes back: recorded traces, against a rule that looks at each fix alone."""

import math
import os
import random
from pathlib import Path

import pytest

from common.event import EPOCH, MICROSECOND, LocationEvent
from common.fences.fence import Fence
from common.geo.shape import Shape
from common.geo.sphere import EARTH_RADIUS_M
from consumers.insight.fold.rules import Rules
from consumers.places.rules.fence_index import FenceIndex
from consumers.places.rules.membership import NO_VISITS, follow
from tests.unit.insight.insight_tables import at_once
from tests.unit.insight.test_fold import BUS, BUS_COLUMNS, traces

HOME = (13.4, 52.5)
GEOLIFE = os.environ.get("TEST_GEOLIFE_CSV", "")


def circle(name, centre, radius_m):
    shape = Shape(line=(centre,), reach_m=radius_m)
    return Fence(geofence_id=name, name=name, shape=shape, dwell_s=60)


def re_entries(marks):
    """Of marks (fence, "in" or "out", microsecond) in order: entries within 2 min of the exit."""
    left, count = {}, 0
    for fence, what, at in marks:
        if what == "out":
            left[fence] = at
        else:
            count += fence in left and at - left[fence] <= 120_000_000
    return count


def both_rules(trace, fences):
    """Marks of the naive rule, and of ours where a driver has arrived once it dwelt."""
    index = FenceIndex(fences)
    places = index.inside([f[1] for f in trace], [f[2] for f in trace])
    naive, ours, before, visits = [], [], set(), NO_VISITS
    dwelt = set()
    for (at, latitude, longitude, *_), inside in zip(trace, places, strict=True):
        now = {fence.geofence_id for fence in inside}
        naive += [(f, "in", at) for f in now - before] + [(f, "out", at) for f in before - now]
        before = now
        when = EPOCH + at * MICROSECOND
        one = LocationEvent(
            driver_id="d",
            recorded_at=when,
            received_at=when,
            latitude=latitude,
            longitude=longitude,
        )
        visits, happened = follow(visits, one, inside, index, when)
        for event in happened:
            if event.type == "geofence.dwell":
                dwelt.add(event.geofence_id)
                ours.append((event.geofence_id, "in", at))
            elif event.type == "geofence.exit" and event.geofence_id in dwelt:
                dwelt.discard(event.geofence_id)
                ours.append((event.geofence_id, "out", at))
    return re_entries(naive), re_entries(ours)


def at_stops(trace, radius_m):
    """A fence round every stop of a trace."""
    rows = at_once(trace, Rules(50, 120))
    return [
        circle(f"s{n}", (stop.longitude, stop.latitude), radius_m)
        for n, stop in enumerate(row for key, row in rows.items() if key[0] == "stop")
    ]


def compared(people):
    """Re-entries by both rules over all traces, circles of 50 and of 100 m."""
    pairs = [
        both_rules(trace, at_stops(trace, radius_m)) for trace in people for radius_m in (50, 100)
    ]
    return sum(naive for naive, _ in pairs), sum(ours for _, ours in pairs)


@pytest.mark.skipif(not GEOLIFE, reason="TEST_GEOLIFE_CSV names no GeoLife sample")
def test_people_come_back_less_often():
    naive, ours = compared(traces(Path(GEOLIFE), ("tracker", "t", "Y", "X"), ";").values())
    assert naive >= 12
    assert ours * 8 <= naive


def test_buses_do_not_come_back_at_once():
    naive, ours = compared(traces(BUS, BUS_COLUMNS).values())
    assert naive >= 2
    assert ours == 0


def test_a_phone_that_lies_at_the_edge():
    """Two hours at 1 Hz, its noise of 12 m drifting within a minute: it was in and out all day."""
    rng = random.Random(3)
    trace, off, off2 = [], 0.0, 0.0
    keep = math.exp(-1 / 60)
    for second in range(7200):
        off = off * keep + rng.gauss(0, 12) * math.sqrt(1 - keep**2)
        off2 = off2 * keep + rng.gauss(0, 12) * math.sqrt(1 - keep**2)
        east = off2 / math.cos(math.radians(HOME[1]))
        trace.append(
            (
                second * 1_000_000,
                HOME[1] + math.degrees((50 + off) / EARTH_RADIUS_M),
                HOME[0] + math.degrees(east / EARTH_RADIUS_M),
            )
        )
    naive, ours = both_rules(trace, [circle("home", HOME, 50.0)])
    assert naive > 100
    assert ours <= naive / 25
