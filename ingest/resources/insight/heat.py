"""`/api/v1/fleet/heat`: where drivers were, stood and how fast they went, by H3 cells."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from heapq import nlargest
from importlib.resources import files
from itertools import chain
from operator import itemgetter
from typing import Any

import falcon.asgi

from common.access.policy import Action
from common.geo import cells
from common.numbers import Edges
from ingest.http.access import Access
from ingest.http.queries.insight import FINEST, HeatQuery, read_heat_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.histories import Histories
from ingest.resources.insight.shapes import GEOJSON_TYPE, JSON_TYPE, Item, collection_of
from ingest.resources.route.page import dump

_SQL = files(__package__).joinpath("heat.sql").read_text()
_SUMS_SQL = files(__package__).joinpath("heat_sums.sql").read_text()
# A metropolis has some thousands of cells at the finest resolution; those with most are shown.
CELLS_MAX = 20_000
# Value, the columns that it is made of, and what is grouped before it is.
_OF = {
    # A driver counts once, however many hours and cells of the coarser one it was in.
    "drivers": ("count(*)", "driver_id", "GROUP BY 1, 2"),
    "fixes": ("sum(fixes)", "fixes", ""),
    "stops": ("sum(stops)", "stops", ""),
    "speed": ("sum(distance_m) / nullif(sum(moving_s), 0) * 3.6", "distance_m, moving_s", ""),
}
# What values of several databases are made of.
_SUMS = {
    "drivers": "count(*)",
    "fixes": "sum(fixes)",
    "stops": "sum(stops)",
    "speed": "sum(distance_m), sum(moving_s)",
}


def heat_sql(query: HeatQuery) -> str:
    """The question for one kind of value."""
    value, columns, group = _OF[query.of]
    return _SQL.format(value=value, columns=columns, group="" if _is_once(query) else group)


def sums_sql(query: HeatQuery) -> str:
    """The question for what the value is made of, where several databases have parts of it."""
    _, columns, group = _OF[query.of]
    return _SUMS_SQL.format(
        sums=_SUMS[query.of], columns=columns, group="" if _is_once(query) else group
    )


def added_up(rows: Iterable[Sequence[Any]], cells_max: int) -> list[tuple[int, float]]:
    """Cells with their values, the highest first, of rows of a cell with one sum, or with two, of
    which the value is the speed. A driver is in one database, so drivers add up, too.
    """
    sums: dict[int, list[float]] = {}
    for cell, *parts in rows:
        known = sums.setdefault(cell, [0.0] * len(parts))
        sums[cell] = [a + float(b) for a, b in zip(known, parts, strict=True)]
    values = ((cell, _value(parts)) for cell, parts in sums.items())
    return nlargest(cells_max, (v for v in values if v[1] > 0), key=itemgetter(1))


def _value(parts: Sequence[float]) -> float:
    if len(parts) == 1:
        return parts[0]
    metres, seconds = parts
    return metres / seconds * 3.6 if seconds else 0.0


def _is_once(query: HeatQuery) -> bool:
    """Whether a driver is in each cell once already, being that of one hour."""
    return query.resolution == FINEST and query.end - query.start <= timedelta(hours=1)


def coarser(resolution: int) -> tuple[int, int]:
    """What an index of resolution 8 is masked with, and what is set, to give its parent.

    An H3 index has its resolution in bits 52 to 55 and a digit of three bits for each of 15
    resolutions; digits that are not used are 7.
    """
    digits = sum(7 << 3 * (15 - finer) for finer in range(resolution + 1, FINEST + 1))
    return ~(15 << 52), resolution << 52 | digits


class FleetHeat:
    """Cells of some hours with a value each, the highest first."""

    def __init__(self, history: Histories, access: Access, reads: ReadLimiter) -> None:
        self._history = history
        self._access = access
        self._reads = reads

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """JSON, or GeoJSON polygons."""
        principal = self._access.admit(req, Action.READ_FLEET)
        query = read_heat_query(req.params, datetime.now(UTC))
        cells.require()
        async with self._reads.turn(principal.subject):
            keep, put = coarser(query.resolution)
            asked = (query.start, query.end, keep, put, CELLS_MAX)
            if len(self._history.all) == 1:
                [rows] = await self._history.read_all(heat_sql(query), *asked)
                found = [(row["parent"], float(row["value"])) for row in rows]
            else:
                sums = await self._history.read_all(sums_sql(query), *asked)
                found = added_up(chain(*sums), CELLS_MAX)
            shown = [(cell, _number(v)) for cell, v in found if _within(cell, query.box)]
            facts = {
                "start_time": query.start,
                "end_time": query.end,
                "resolution": query.resolution,
                "of": query.of,
                "count": len(shown),
            }
            if query.format == "geojson":
                resp.content_type = GEOJSON_TYPE
                resp.data = collection_of([_feature(cell, value) for cell, value in shown], facts)
                return
            resp.content_type = JSON_TYPE
            resp.data = dump({**facts, "cells": [_item(cell, value) for cell, value in shown]})

    on_head = on_get


def _number(value: float) -> float:
    return int(value) if value.is_integer() else round(value, 2)


def _within(cell: int, box: Edges | None) -> bool:
    """Whether the middle of the cell lies in the box; one from 170 to -170 crosses 180°."""
    if box is None:
        return True
    west, south, east, north = box
    latitude, longitude = cells.centre(cell)
    across = west <= longitude <= east if west <= east else longitude >= west or longitude <= east
    return across and south <= latitude <= north


def _item(cell: int, value: float) -> Item:
    latitude, longitude = cells.centre(cell)
    return {
        "cell": cells.cell_name(cell),
        "latitude": round(latitude, 6),
        "longitude": round(longitude, 6),
        "value": value,
    }


def _feature(cell: int, value: float) -> Item:
    ring = [
        (round(longitude, 6), round(latitude, 6)) for latitude, longitude in cells.outline(cell)
    ]
    ring.append(ring[0])
    return {
        "type": "Feature",
        "id": cells.cell_name(cell),
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"cell": cells.cell_name(cell), "value": value},
    }
