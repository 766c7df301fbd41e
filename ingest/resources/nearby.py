"""`/api/v1/drivers/nearby`: the nearest drivers, whatever shards they are in.

Of a cluster some servers may be away: the answer is that of the others, and says which shards are
missing.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from typing import TypeVar

import falcon
import falcon.asgi
import orjson

from common.access.policy import Action
from common.errors import Overloaded
from common.redis.wire import Argument
from common.roads.travel import Travel
from common.shards import Shard
from ingest.http.access import Access
from ingest.http.queries.query import NearbyQuery, read_nearby_query
from ingest.http.read_limiter import ReadLimiter
from ingest.resources.live_positions import LivePositions, PositionLayers, is_fresh
from ingest.resources.nearest import LATITUDE_MAX, Hit, Merged, merge
from ingest.resources.roads.by_arrival import sort_by_arrival

A = TypeVar("A")

# Asked of each shard beyond the limit: room for the few that have expired and are not removed yet.
SPARE = 16
# Past this many hits of one shard the answer is what is known by then: a depot full of parked
# vehicles at one point must not make a question read a whole city.
HITS_MAX = 16_384


class Nearby:
    """Drivers around a point."""

    def __init__(
        self, live: LivePositions, travel: Travel, access: Access, reads: ReadLimiter
    ) -> None:
        self._access = access
        self._reads = reads
        self._live = live
        self._travel = travel

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The nearest first; none that is older than LOCATION_TTL."""
        principal = self._access.admit(req, Action.FIND_DRIVERS)
        query = read_nearby_query(req.params)
        drivers: list[bytes] = []
        missing: set[int] = set()
        # Nothing beyond the projection is indexed, so nothing can be found around a point there.
        if abs(query.latitude) <= LATITUDE_MAX:
            async with self._reads.turn(principal.subject):
                drivers = await self._nearest(query, missing)
        ending = b',"missing_shards":%b' % orjson.dumps(sorted(missing)) if missing else b""
        if query.sort == "arrival":
            point = query.latitude, query.longitude
            # In a turn too: a crowd in line before the engine makes it look dead to everybody.
            async with self._reads.turn(principal.subject):
                drivers, method = await sort_by_arrival(self._travel, drivers, point, query.vehicle)
            ending += b',"method":"%b"' % method.encode()
        found = len(drivers), b",".join(drivers), ending
        resp.data = b'{"count":%d,"drivers":[%b]%b}' % found

    on_head = on_get

    async def _nearest(self, query: NearbyQuery, missing: set[int]) -> list[bytes]:
        """`missing` gets the shards whose drivers may be lacking: a server does not answer.

        Raises `Overloaded` if none does.
        """
        count = query.limit + SPARE
        away: set[Shard] = set()
        layers = self._live.layers
        try:
            while True:
                merged, depths = await self._search(layers, query, count, away)
                enough = merged.complete or len(merged.hits) >= query.limit
                if enough or count >= HITS_MAX:
                    drivers = await self._fresh(layers, merged, depths, query.limit, away)
                    if merged.complete or len(drivers) == query.limit or count >= HITS_MAX:
                        return drivers
                count *= 4
        finally:
            missing |= self._live.written.concerned_by(away)

    async def _search(
        self, layers: PositionLayers, query: NearbyQuery, count: int, away: set[Shard]
    ) -> tuple[Merged, Mapping[Hit, int]]:
        """Hits; and of those behind the newest layer which they are of, while there are several.

        Such a hit counts only where the driver is in no newer shard (`_fresh`).
        """
        # 180 and -180 are one meridian; a search around 180 misses what lies east of it.
        longitude = -180.0 if query.longitude == 180 else query.longitude
        around: tuple[Argument, ...] = (
            *("FROMLONLAT", longitude, query.latitude),
            *("BYRADIUS", query.radius, "m", "ASC", "COUNT", count, "WITHDIST"),
        )
        answers: list[list[Hit]] = []
        depths: dict[Hit, int] = {}
        for depth, shards in enumerate(layers.newest_first):
            lost = None if shards is layers.coming else away
            found = await self._each({s: self._search_shard(s, around) for s in shards}, lost)
            if depth:
                newer = {hit for answer in answers for hit in answer}
                depths |= {hit: depth for answer in found for hit in answer if hit not in newer}
            answers += found
        merged = merge(answers, count)
        if count >= HITS_MAX and not merged.complete:
            merged = Merged(sorted(hit for answer in answers for hit in answer), complete=True)
        return merged, depths

    async def _each(self, asked: Mapping[Shard, Awaitable[A]], away: set[Shard] | None) -> list[A]:
        """What those say whose server answers. The others are added to `away`, where they lack;
        raises `Overloaded` then if none answers.
        """
        answers = await asyncio.gather(*asked.values(), return_exceptions=True)
        lost: Overloaded | None = None
        found: list[A] = []
        for shard, answer in zip(asked, answers, strict=True):
            if isinstance(answer, Overloaded):
                if away is not None:
                    away.add(shard)
                    lost = answer
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found.append(answer)
        if lost is not None and not found:
            raise lost
        return found

    async def _search_shard(self, shard: Shard, around: tuple[Argument, ...]) -> list[Hit]:
        wire = self._live.nodes.wire(shard)
        reply = await wire.send("GEOSEARCH", shard.keys.geo, *around)
        return [(float(metres), driver.decode()) for driver, metres in reply]

    async def _fresh(
        self,
        layers: PositionLayers,
        merged: Merged,
        depths: Mapping[Hit, int],
        limit: int,
        away: set[Shard],
    ) -> list[bytes]:
        """The first `limit` of the hits that may still be shown, as JSON objects."""
        drivers: list[bytes] = []
        oldest = self._live.oldest()
        # Nearly all are fresh, so what is missing is read at a time, not everything.
        step = limit + SPARE
        for begin in range(0, len(merged.hits), step):
            part = merged.hits[begin : begin + step]
            events = await self._events(layers, [driver_id for _, driver_id in part], away)
            for hit in part:
                # Once each: of two places that are the same, and of a driver that has moved on.
                depth, event = events.get(hit[1], (0, b""))
                if depth == depths.get(hit, 0) and is_fresh(event, oldest):
                    del events[hit[1]]
                    drivers.append(with_distance(event, hit[0]))
                    if len(drivers) == limit:
                        return drivers
        return drivers

    async def _events(
        self, layers: PositionLayers, driver_ids: Iterable[str], away: set[Shard]
    ) -> dict[str, tuple[int, bytes]]:
        """The newest event of each driver, and which layer has it."""
        events: dict[str, tuple[int, bytes]] = {}
        for depth, shards in enumerate(layers.newest_first):
            by_shard: dict[Shard, list[str]] = {}
            for driver_id in driver_ids:
                if driver_id not in events:
                    by_shard.setdefault(shards.of(driver_id), []).append(driver_id)
            read, lost = self._live.read_shard, None if shards is layers.coming else away
            parts = await self._each({s: read(s, names) for s, names in by_shard.items()}, lost)
            events |= {name: (depth, event) for part in parts for name, event in part.items()}
        return events


def with_distance(event: bytes, metres: float) -> bytes:
    """The event's object with its distance; the event itself is not decoded again."""
    return event[:-1] + b',"distance":%.2f}' % metres
