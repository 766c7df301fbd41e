"""The road engine as its clients see it: OSRM over HTTP, one server for each kind of vehicle.

An engine that does not answer is left alone for a moment, so that it costs nobody a wait twice:
`NoRoads` is raised at once, and the caller has a fallback.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import TypeVar

from common.contract import Vehicle
from common.event import MALFORMED
from common.log import Repeated, get
from common.roads import osrm
from common.roads.exchange import EngineExchange
from common.roads.osrm import EngineAway, NoRoads, NoWay, Table, TooBig
from common.roads.thin import TraceFix
from common.roads.way import MatchedPiece, Matrix, Point, Way

# From the first try to the answer, the wait for a free connection included.
TOTAL_TIMEOUT_S = 8.0
# As long as one that refused, or one that said nothing in time, is taken for dead. An embedded
# engine that was killed is back within a second.
REFUSED_S = 0.5
SILENT_S = 5.0
# Not more often is it said that an engine does not fit, and so much of what it said.
UNFIT_SAID_S, UNFIT_CHARS_MAX = 600.0, 100

T = TypeVar("T")

_log = get("roads")


class RoadEngine:
    """Asks the engines in `urls`, by vehicle. Connections are made when they are needed."""

    def __init__(self, urls: Mapping[Vehicle, str]) -> None:
        self._urls = urls
        if urls and find_spec("aiohttp") is None:
            _log.warning(
                "roads.off", detail="the package aiohttp is not installed: 'fleetline[roads]'"
            )
            self._urls = {}
        if self._urls:
            # Now, not within somebody's question: it takes a few tenths of a second.
            import aiohttp  # noqa: F401, PLC0415
        self._exchange = EngineExchange()
        self._sides: dict[Vehicle, int] = {}
        self._dead_until_s: dict[Vehicle, float] = {}
        self._trouble = {v: Repeated(_log, "roads.away") for v in self._urls}
        # Until an engine has answered once: it may be another server, or of another region.
        self._unfit = {v: Repeated(_log, "roads.unfit", every_s=UNFIT_SAID_S) for v in self._urls}

    def serves(self, vehicle: Vehicle) -> bool:
        """Whether there is, or should be, an engine for it."""
        return vehicle in self._urls

    async def matrix(
        self, sources: Sequence[Point], targets: Sequence[Point], vehicle: Vehicle
    ) -> Matrix:
        """From each source to each target, None from and to places that are not on the graph.

        Raises `NoRoads` when no source or no target is on it.
        """
        side = self._sides.get(vehicle, osrm.TABLE_SIDE_MAX)
        with self._watched(vehicle):
            try:
                return await self._matrix(sources, targets, vehicle, side)
            except TooBig:
                # A server of somebody's own, with OSRM's own limits.
                self._sides[vehicle] = osrm.TABLE_SIDE_PLAIN
                return await self._matrix(sources, targets, vehicle, osrm.TABLE_SIDE_PLAIN)

    async def _matrix(
        self, sources: Sequence[Point], targets: Sequence[Point], vehicle: Vehicle, side: int
    ) -> Matrix:
        bands = [
            [
                _of_size(
                    understood(
                        osrm.read_table,
                        await self._ask("table", vehicle, osrm.table_query(band, part)),
                    ),
                    len(band),
                    len(part),
                )
                for part in pieces(targets, side)
            ]
            for band in pieces(sources, side)
        ]
        return osrm.join(bands)

    async def route(self, points: Sequence[Point], vehicle: Vehicle) -> Way | None:
        """The quickest way through all points; None where no road joins them. Raises `NoRoads`."""
        with self._watched(vehicle):
            body = await self._ask("route", vehicle, osrm.route_query(points))
            try:
                way = understood(osrm.read_route, body)
            except NoWay:
                return None
            if len(way.legs) != len(points) - 1:
                raise NoRoads("a way through other places than were asked for")
            return way

    async def match(
        self, fixes: Sequence[TraceFix], vehicle: Vehicle, *, nodes: bool = False
    ) -> list[MatchedPiece]:
        """The pieces of a trace that follow roads, none where none does. Raises `NoRoads`."""
        query = osrm.match_query(fixes, nodes=nodes)
        try:
            return understood(
                partial(osrm.read_match, fixes=fixes), await self._ask("match", vehicle, query)
            )
        except NoWay:
            return []

    @contextmanager
    def _watched(self, vehicle: Vehicle) -> Iterator[None]:
        """Say that an engine answers, and has never said anything that helps."""
        try:
            yield
        except EngineAway:
            raise
        except NoRoads as e:
            if (unfit := self._unfit.get(vehicle)) is not None:
                unfit.failed(vehicle=vehicle, error=str(e)[:UNFIT_CHARS_MAX])
            raise
        if (unfit := self._unfit.pop(vehicle, None)) is not None:
            unfit.healed(vehicle=vehicle)

    async def close(self) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def _ask(self, service: str, vehicle: Vehicle, query: str) -> bytes:
        url = self._urls.get(vehicle)
        if url is None:
            raise NoRoads("there is no graph for this kind of vehicle")
        loop = asyncio.get_running_loop()
        if loop.time() < self._dead_until_s.get(vehicle, 0.0):
            raise EngineAway("the engine was away a moment ago")
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                body = await self._exchange.get(f"{url}/{service}/v1/{vehicle}/{query}")
        except (OSError, TimeoutError) as e:
            away_s = SILENT_S if isinstance(e, TimeoutError) else REFUSED_S
            self._dead_until_s[vehicle] = loop.time() + away_s
            # What aiohttp says of a failure may hold the URL, and so positions.
            self._trouble[vehicle].failed(vehicle=vehicle, error=type(e).__name__)
            raise EngineAway("the engine does not answer") from e
        self._trouble[vehicle].healed()
        return body


def understood(read: Callable[[bytes], T], body: bytes) -> T:
    """What an answer says. Raises `NoRoads` for one that is not OSRM's, and what `read` raises."""
    try:
        return read(body)
    except (*MALFORMED, LookupError, ValueError) as e:
        raise NoRoads("an answer that is not OSRM's") from e


def _of_size(table: Table, sources: int, targets: int) -> Table:
    if (len(table.sources), len(table.targets)) != (sources, targets):
        raise NoRoads("a table of other places than were asked for")
    return table


def pieces(points: Sequence[Point], most: int) -> list[Sequence[Point]]:
    """The points in parts of `most` at most."""
    return [points[first : first + most] for first in range(0, len(points), most)]
