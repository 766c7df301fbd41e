"""The lines of trips, out of the history: simplified, so that a day of trips is a small answer."""

import asyncio
from datetime import datetime, timedelta
from itertools import pairwise

from common.event import EPOCH
from common.geo.simplify import simplify
from ingest.http.queries.query import RouteQuery
from ingest.resources.histories import Histories

# A pixel of a map of some streets.
TOLERANCE_M = 10.0
# Fixes of a trip that are read for its line: a day at 1 Hz is more than any trip.
FIXES_MAX = 50_000
# Simplified in one go, in about five milliseconds: the worker takes fixes in between.
PIECE = 1000
Position = tuple[float, float]


async def line(
    history: Histories, driver_id: str, start: datetime, end: datetime
) -> list[Position]:
    """Longitudes and latitudes from one fix to another, both included."""
    query = RouteQuery(start, end + timedelta(microseconds=1), FIXES_MAX, None, "json")
    kept: list[Position] = []
    async for rows in history.route(driver_id, query):
        for first in range(0, len(rows), PIECE):
            part = rows[first : first + PIECE]
            points = [
                ((r["recorded_at"] - EPOCH).total_seconds(), r["latitude"], r["longitude"])
                for r in part
            ]
            kept += [(points[i][2], points[i][1]) for i in simplify(points, TOLERANCE_M)]
            await asyncio.sleep(0)
    return kept


def geometry(positions: list[Position]) -> dict[str, object] | None:
    """A GeoJSON geometry, cut at 180° where the line crosses it (RFC 7946, 3.1.9)."""
    if len(positions) < 2:
        return {"type": "Point", "coordinates": positions[0]} if positions else None
    parts: list[list[Position]] = [[positions[0]]]
    for (x0, y0), (x1, y1) in pairwise(positions):
        if abs(x1 - x0) > 180:
            edge = 180.0 if x0 > 0 else -180.0
            share = (edge - x0) / (x1 + 2 * edge - x0) if x1 + 2 * edge != x0 else 0.0
            latitude = y0 + (y1 - y0) * share
            parts[-1].append((edge, latitude))
            parts.append([(-edge, latitude)])
        parts[-1].append((x1, y1))
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}
