"""`/api/v1/drivers/nearby`: the nearest drivers, whatever shards they are in."""

from collections import defaultdict

import falcon
import falcon.asgi
import hiredis

from common.access.policy import Action
from common.keys import shard_of
from common.redis.wire import Argument
from ingest.http.access import Access
from ingest.http.query import NearbyQuery, read_nearby_query
from ingest.resources.live_positions import Live, is_fresh
from ingest.resources.nearest import LATITUDE_MAX, Hit, Merged, merge

# Asked of each shard beyond the limit: room for the few that have expired and are not removed yet.
SPARE = 16
# Past this many hits of one shard the answer is what is known by then: a depot full of parked
# vehicles at one point must not make a question read a whole city.
HITS_MAX = 16_384


class Nearby:
    """Drivers around a point."""

    def __init__(self, live: Live, access: Access) -> None:
        self._access = access
        self._live = live

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """The nearest first; none that is older than LOCATION_TTL."""
        self._access.require(self._access.principal(req), Action.FIND_DRIVERS)
        query = read_nearby_query(req.params)
        drivers: list[bytes] = []
        # Nothing beyond the projection is indexed, so nothing can be found around a point there.
        if abs(query.latitude) <= LATITUDE_MAX:
            drivers = await self._nearest(query)
        resp.data = b'{"count":%d,"drivers":[%b]}' % (len(drivers), b",".join(drivers))

    on_head = on_get

    async def _nearest(self, query: NearbyQuery) -> list[bytes]:
        count = query.limit + SPARE
        while True:
            merged = await self._search(query, count)
            enough = merged.complete or len(merged.hits) >= query.limit
            if enough or count >= HITS_MAX:
                found = await self._fresh(merged.hits, query.limit)
                if merged.complete or len(found) == query.limit or count >= HITS_MAX:
                    return found
            count *= 4

    async def _search(self, query: NearbyQuery, count: int) -> Merged:
        # One meridian with two names; seen from 180 Redis misses what lies east of it.
        longitude = -180.0 if query.longitude == 180 else query.longitude
        around: tuple[Argument, ...] = (
            *("FROMLONLAT", longitude, query.latitude),
            *("BYRADIUS", query.radius, "m", "ASC", "COUNT", count, "WITHDIST"),
        )
        replies = await self._live.wire.pipeline_raw(
            [("GEOSEARCH", keys.geo, *around) for keys in self._live.keys]
        )
        answers: list[list[Hit]] = []
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            answers.append([(float(metres), driver.decode()) for driver, metres in reply])
        merged = merge(answers, count)
        if count >= HITS_MAX and not merged.complete:
            return Merged(sorted(hit for answer in answers for hit in answer), complete=True)
        return merged

    async def _fresh(self, hits: list[Hit], limit: int) -> list[bytes]:
        """The first `limit` of `hits` that may still be shown, as JSON objects."""
        found: list[bytes] = []
        oldest = self._live.oldest()
        # Nearly all are fresh, so what is missing is read at a time, not everything.
        step = limit + SPARE
        for begin in range(0, len(hits), step):
            part = hits[begin : begin + step]
            events = await self._events([driver_id for _, driver_id in part])
            for metres, driver_id in part:
                event = events.get(driver_id)
                if event is not None and is_fresh(event, oldest):
                    found.append(with_distance(event, metres))
                    if len(found) == limit:
                        return found
        return found

    async def _events(self, driver_ids: list[str]) -> dict[str, bytes]:
        by_shard: dict[int, list[str]] = defaultdict(list)
        for driver_id in driver_ids:
            by_shard[shard_of(driver_id, self._live.shards)].append(driver_id)
        replies = await self._live.wire.pipeline_raw(
            [("HMGET", self._live.keys[shard].live, *ids) for shard, ids in by_shard.items()]
        )
        events: dict[str, bytes] = {}
        for ids, reply in zip(by_shard.values(), replies, strict=True):
            if isinstance(reply, hiredis.ReplyError):
                raise reply
            events.update((i, e) for i, e in zip(ids, reply, strict=True) if e is not None)
        return events


def with_distance(event: bytes, metres: float) -> bytes:
    """The event's object with its distance; the event itself is not decoded again."""
    return event[:-1] + b',"distance":%.2f}' % metres
