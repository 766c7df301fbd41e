"""The road engine as its clients see it: OSRM over HTTP, one server for each kind of vehicle.

An engine that does not answer is left alone for a moment, so that it costs nobody a wait twice:
`NoRoads` is raised at once, and the caller has a fallback. OSRM ends a connection after 512
requests, or 5 s without one; a request that meets such an end is sent once more.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar

from common.contract import Vehicle
from common.log import Repeated, get
from common.roads import osrm
from common.roads.osrm import EngineAway, NoRoads, NoWay, TooBig
from common.roads.thin import TraceFix
from common.roads.way import MatchedPiece, Matrix, Point, Way

if TYPE_CHECKING:
    import aiohttp

# An engine on this machine connects at once; it answers the largest question within a second.
CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 3.0
# From the first try to the answer, the wait for a free connection included.
TOTAL_TIMEOUT_S = 8.0
# Questions of one process under way at once; the engine has few threads, others wait here.
CONNECTIONS_MAX = 8
# As long as one that refused, or one that said nothing in time, is taken for dead. An embedded
# engine that was killed is back within a second.
REFUSED_S = 0.5
SILENT_S = 5.0
# Largest answer: a way of a thousand kilometres with all its steps is 5 MB.
ANSWER_BYTES_MAX = 32 * 1_048_576

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
            import aiohttp  # noqa: PLC0415
        self._session: aiohttp.ClientSession | None = None
        self._sides: dict[Vehicle, int] = {}
        self._dead_until_s: dict[Vehicle, float] = {}
        self._trouble = {v: Repeated(_log, "roads.away") for v in self._urls}

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
                understood(
                    osrm.read_table,
                    await self._ask("table", vehicle, osrm.table_query(band, part)),
                )
                for part in pieces(targets, side)
            ]
            for band in pieces(sources, side)
        ]
        return osrm.join(bands)

    async def route(self, points: Sequence[Point], vehicle: Vehicle) -> Way | None:
        """The quickest way through all points; None where no road joins them. Raises `NoRoads`."""
        try:
            body = await self._ask("route", vehicle, osrm.route_query(points))
            return understood(osrm.read_route, body)
        except NoWay:
            return None

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

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _ask(self, service: str, vehicle: Vehicle, query: str) -> bytes:
        url = self._urls.get(vehicle)
        if url is None:
            raise NoRoads("there is no graph for this kind of vehicle")
        loop = asyncio.get_running_loop()
        if loop.time() < self._dead_until_s.get(vehicle, 0.0):
            raise EngineAway("the engine was away a moment ago")
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT_S):
                body = await self._get(f"{url}/{service}/v1/{vehicle}/{query}")
        except (OSError, TimeoutError) as e:
            away_s = SILENT_S if isinstance(e, TimeoutError) else REFUSED_S
            self._dead_until_s[vehicle] = loop.time() + away_s
            # What aiohttp says of a failure may hold the URL, and so positions.
            self._trouble[vehicle].failed(vehicle=vehicle, error=type(e).__name__)
            raise EngineAway("the engine does not answer") from e
        self._trouble[vehicle].healed()
        return body

    async def _get(self, url: str) -> bytes:
        """The body of the answer, whatever its status: OSRM says in it what is wrong.

        Raises `OSError`, `TimeoutError`.
        """
        import aiohttp  # noqa: PLC0415 - of an extra
        from yarl import URL  # noqa: PLC0415

        if self._session is None:
            self._session = _new_session()
        address = URL(url, encoded=True)
        for is_last in (False, True):
            try:
                async with self._session.get(address, allow_redirects=False) as response:
                    if (response.content_length or 0) > ANSWER_BYTES_MAX:
                        raise OSError("an answer that is too long")
                    return await response.read()
            except aiohttp.ClientConnectorError as e:
                # Nobody listens there; a second try at once would meet nobody either.
                raise OSError(type(e).__name__) from e
            except aiohttp.ClientError as e:
                if is_last or isinstance(e, TimeoutError):
                    raise _plain(e) from e
        raise AssertionError("the loop returns or raises")


def understood(read: Callable[[bytes], T], body: bytes) -> T:
    """What an answer says. Raises `NoRoads` for one that is not OSRM's, and what `read` raises."""
    try:
        return read(body)
    except (KeyError, IndexError, TypeError, ValueError) as e:
        raise NoRoads("an answer that is not OSRM's") from e


def pieces(points: Sequence[Point], most: int) -> list[Sequence[Point]]:
    """The points in parts of `most` at most."""
    return [points[first : first + most] for first in range(0, len(points), most)]


def _plain(error: Exception) -> OSError:
    if isinstance(error, TimeoutError):
        return TimeoutError(type(error).__name__)
    return OSError(type(error).__name__)


def _new_session() -> "aiohttp.ClientSession":
    import aiohttp  # noqa: PLC0415

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=CONNECTIONS_MAX, keepalive_timeout=4.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        # Compressing for this machine would cost more than it spares.
        skip_auto_headers=("accept-encoding", "user-agent"),
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_TIMEOUT_S, sock_read=ANSWER_TIMEOUT_S
        ),
    )
