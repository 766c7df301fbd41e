"""The ASGI application: what is built for one worker, and which path leads where."""

import gc
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import falcon.asgi

from common.access.address import Failures
from common.access.closed import parse_origins
from common.access.gate import open_gate
from common.access.watch import AccessWatch
from common.event import Clock, TimeLimits
from common.redis.wire import Wire
from common.settings import Settings
from ingest.apps.resource import Intake, resources
from ingest.http import problem
from ingest.http.access import Access
from ingest.http.body import SCOPE_KEY, Body, Receive, Waiting
from ingest.http.fast_path import FastPath, is_post_one
from ingest.intake.backlog import Backlog
from ingest.intake.limited import LimitedProducer
from ingest.intake.producer import Producer
from ingest.intake.rate import Limit
from ingest.openapi.pages import pages
from ingest.resources.health import PROBE_TIMEOUT_S, Alive, Health
from ingest.resources.history import History
from ingest.resources.live_positions import Live
from ingest.resources.location import Location
from ingest.resources.locations import Locations
from ingest.resources.nearby import Nearby
from ingest.resources.order import OrderComplete, OrderLocation
from ingest.resources.route import Route
from ingest.resources.tracking import TrackingToken

# Objects that may have been made, and not freed, before cycles are looked for (Python: 700).
# Requests in flight are some tens of objects each, so this is past a few hundred of them; cycles
# (errors with tracebacks) may pile up to a few MB until then.
COLLECT_AFTER = 50_000

Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def spare_the_collector() -> None:
    """Make the cycle collector rare: a request leaves no cycles, and looking cost 15 % of CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER, 20, 50)


class Worker:
    """What one worker process holds open; started and stopped with the server's lifespan."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.wire = Wire(
            settings.redis_url,
            reply_timeout_s=settings.redis_reply_timeout_s,
            inflight_bytes_max=settings.redis_inflight_bytes_max,
            name="ingest",
        )
        self.backlog = Backlog(
            self.wire, settings.stream_name, settings.shards, settings.backlog_max
        )
        self.history = History(
            settings.database_url,
            connections_max=settings.ingest_database_connections_max,
            timeout_s=settings.route_timeout_s,
        )
        self.gate = open_gate(settings)
        self.access = Access(self.gate, Failures(settings.refusals_per_address_max))
        self._watch = None if self.gate is None else AccessWatch(self.wire, self.gate)
        # A connection of its own: slow routes that hold all others do not mean "down".
        self.pulse = History(
            settings.database_url, connections_max=1, timeout_s=PROBE_TIMEOUT_S * 0.9
        )

    def new_producer(self) -> Producer:
        """What puts fixes into the streams, with or without a limit for each driver."""
        settings, rooms = self.settings, self.backlog.rooms
        common = (self.wire, rooms, settings.stream_name, settings.shards)
        if not settings.rate_fixes_per_s:
            return Producer(*common)
        return LimitedProducer(*common, Limit(settings.rate_fixes_per_s, settings.rate_burst))

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Connect. Returns also when Redis is down: then fixes are refused until it is back."""
        spare_the_collector()
        await self.wire.start()
        await self.backlog.start()
        if self._watch is not None:
            await self._watch.start()

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        """Let go, in reverse order; requests have been answered by now."""
        await self.history.close()
        await self.pulse.close()
        await self.backlog.stop()
        if self._watch is not None:
            await self._watch.stop()
        await self.wire.close()


class Ingest:
    """Falcon behind a door that gives each request its `Body`, and answers good fixes itself."""

    def __init__(
        self, app: falcon.asgi.App[Any, Any], fast_path: FastPath, body_timeout_s: float
    ) -> None:
        self.app = app
        self._fast_path = fast_path
        self._waiting = Waiting(body_timeout_s)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """An ASGI application; hands on Falcon's coroutine rather than awaiting it in another."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)  # type: ignore[arg-type]
        if scope["http_version"] == "1":
            # Granian's word for HTTP/1.0, which Falcon does not know.
            scope["http_version"] = "1.0"
        body = scope[SCOPE_KEY] = Body(receive, self._waiting)
        if is_post_one(scope):
            return self._post_one(scope, body, send)
        return self.app(scope, body, send)  # type: ignore[arg-type]

    async def _post_one(self, scope: Scope, body: Body, send: Send) -> None:
        if not await self._fast_path.answer(scope, body, send):
            await self.app(scope, body, send)  # type: ignore[arg-type]


def create_app(settings: Settings) -> Ingest:
    """Build the application; connects to nothing before its lifespan begins."""
    worker = Worker(settings)
    # This middleware only has lifespan hooks, so no request pays for it.
    middleware: list[Any] = [worker]
    if origins := parse_origins("CORS_ORIGINS", settings.cors_origins):
        middleware.append(falcon.CORSMiddleware(allow_origins=origins))
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(
        middleware=middleware, response_type=problem.TypedResponse
    )
    # Ids have no slash: one at the end is a typing habit.
    app.req_options.strip_url_path_trailing_slash = True
    problem.install(app, worker.access)
    location = _add_routes(app, worker)
    fast_path = FastPath(location, worker.access, settings.body_bytes_max)
    return Ingest(app, fast_path, settings.body_timeout_s)


def _add_routes(app: falcon.asgi.App[Any, Any], worker: Worker) -> Location:
    settings, wire = worker.settings, worker.wire
    rooms = worker.backlog.rooms
    access = worker.access
    producer = worker.new_producer()
    live = Live(wire, settings.stream_name, settings.shards, settings.location_ttl)
    clock = Clock()
    limits = TimeLimits(settings.clock_skew_max_s, settings.event_age_max_s)
    health = Health(
        wire,
        worker.pulse,
        rooms,
        stream_name=settings.stream_name,
        group=settings.consumer_group,
        shards=settings.shards,
        access=access,
    )
    locations = Locations(
        producer,
        clock,
        limits,
        bytes_max=settings.batch_body_bytes_max,
        fixes_max=settings.batch_fixes_max,
        access=access,
    )
    drivers, orders = "/api/v1/drivers", "/api/v1/orders"
    location = Location(
        producer, live, clock, limits, bytes_max=settings.body_bytes_max, access=access
    )
    app.add_route(f"{drivers}/{{driver_id}}/location", location)
    app.add_route(f"{drivers}/{{driver_id}}/route", Route(worker.history, access))
    app.add_route(f"{drivers}/locations", locations)
    app.add_route(f"{drivers}/nearby", Nearby(live, access))
    app.add_route(f"{orders}/{{order_id}}/location", OrderLocation(wire, access))
    complete = OrderComplete(wire, settings.order_ended_ttl_s, access)
    app.add_route(f"{orders}/{{order_id}}/complete", complete)
    tracking = TrackingToken(wire, settings, worker.gate, access)
    app.add_route(f"{orders}/{{order_id}}/tracking-token", tracking)
    intake = Intake(
        producer,
        clock,
        limits,
        bytes_max=settings.batch_body_bytes_max,
        fixes_max=settings.batch_fixes_max,
    )
    for path, resource in resources(intake, access):
        app.add_route(path, resource)
        # Typed into a phone by hand, with a slash at its end as often as not.
        app.add_route(f"{path}/", resource)
    for path, page in pages(settings, auth=access.on):
        app.add_route(path, page)
    app.add_route("/health", health)
    app.add_route("/health/live", Alive())
    return location
