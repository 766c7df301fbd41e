"""The ASGI application: which path leads where."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import falcon
import falcon.asgi

from common.access.local_rule import LocalRule
from common.contract import BATCH_BODY_BYTES_MAX, BODY_BYTES_MAX
from common.settings import Settings
from common.settings.lists import parse_hosts, parse_origins
from ingest.apps.resource import AppRules, resources
from ingest.http import problem
from ingest.http.body import SCOPE_KEY, Body, Receive, announced_length
from ingest.http.body_deadlines import BodyDeadlines
from ingest.http.edge import EXPOSED_HEADERS, Cors, Edge
from ingest.http.fast_path import FastPath
from ingest.http.read_limiter import ReadLimiter
from ingest.http.request_watch import FastTimes, RequestWatch
from ingest.openapi.pages import pages
from ingest.resources.events import EventList
from ingest.resources.fences.routes import add_fence_routes
from ingest.resources.health import AliveResource, HealthResource
from ingest.resources.insight.routes import add_insight_routes
from ingest.resources.location import PREFIX, SUFFIX, Location
from ingest.resources.locations import Locations
from ingest.resources.nearby import Nearby
from ingest.resources.order import OrderLocation
from ingest.resources.orders.expected import ExpectedArrivals
from ingest.resources.orders.routes import add_order_routes
from ingest.resources.plans.client import PlannerClient
from ingest.resources.plans.fleet import FleetLookUp
from ingest.resources.plans.plan import Plans
from ingest.resources.roads.routes import add_road_routes
from ingest.resources.route.route import Route
from ingest.resources.tracking import TrackingLink
from ingest.resources.webhooks.routes import add_webhook_routes
from ingest.worker import IngestWorker

App = falcon.asgi.App[Any, Any]
Scope = MutableMapping[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
# A method that Falcon knows and no resource takes.
UNTAKEN = "TRACE"


class Ingest:
    """Falcon behind a door that gives each request its `Body`, and answers good fixes itself.

    No answer leaves a body unread behind it: see `Body.drain`.
    """

    def __init__(self, app: App, one: FastPath, many: FastPath, body_timeout_s: float) -> None:
        self.app = app
        self._one = one
        self._many = many
        self._deadlines = BodyDeadlines(body_timeout_s)
        self._otherwise = self._ask_falcon

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """An ASGI application; hands on Falcon's coroutine rather than awaiting it in another."""
        if scope["type"] != "http":
            return self.app(scope, receive, send)  # type: ignore[arg-type]
        if scope["http_version"] == "1":
            # Granian's word for HTTP/1.0, which Falcon does not know.
            scope["http_version"] = "1.0"
        body = scope[SCOPE_KEY] = Body(receive, self._deadlines)
        path: str = scope["path"]
        if scope["method"] == "POST" and path.startswith(PREFIX):
            if path.endswith(SUFFIX):
                return self._one.answer(scope, body, send, self._otherwise)
            if path == Locations.template:
                return self._many.answer(scope, body, send, self._otherwise)
        return self._ask_falcon(scope, body, send)

    def _ask_falcon(self, scope: Scope, body: Body, send: Send) -> Awaitable[None]:
        if scope["method"] not in falcon.COMBINED_METHODS:
            # Falcon answers 400. It is as any other method that a path does not take.
            scope["method"] = UNTAKEN
        length = announced_length(scope["headers"])
        if length == 0:
            return self.app(scope, body, send)  # type: ignore[arg-type]

        async def send_after_body(event: dict[str, Any]) -> None:
            if event["type"] == "http.response.start" and not await body.drain(length):
                event["headers"] = [*event["headers"], (b"connection", b"close")]
            await send(event)

        return self.app(scope, body, send_after_body)  # type: ignore[arg-type]


def create_app(settings: Settings, tell: Callable[[bytes], None] | None = None) -> Ingest:
    """Build the application; connects to nothing before its lifespan begins.

    `tell` is given the worker's numbers about once a second (`common.metrics.reporter`).
    """
    times = {Location.template: FastTimes(), Locations.template: FastTimes()}
    watch = RequestWatch(times)
    worker = IngestWorker(settings, tell, watch.put)
    origins = parse_origins("CORS_ORIGINS", settings.cors_origins)
    hosts = parse_hosts("ALLOWED_HOSTS", settings.allowed_hosts)
    edge = Edge(None if worker.access.on else LocalRule(hosts, origins))
    # The worker only has lifespan hooks, so no request pays for it.
    middleware: list[Any] = [worker, watch, edge]
    if origins:
        middleware.append(Cors(origins, expose_headers=EXPOSED_HEADERS))
    app: App = falcon.asgi.App(middleware=middleware, response_type=problem.ApiResponse)
    # Addresses are typed by hand too, with a slash at their end as often as not.
    app.req_options.strip_url_path_trailing_slash = True
    problem.install(app, worker.access)
    location = Location(worker.intake, worker.live, worker.access, bytes_max=BODY_BYTES_MAX)
    locations = Locations(worker.intake, worker.access, bytes_max=BATCH_BODY_BYTES_MAX)
    for route in (location, locations):
        app.add_route(route.template, route)
    _add_driver_routes(app, worker)
    add_road_routes(app, worker.travel, worker.live, worker.history, worker.access)
    add_insight_routes(app, worker.history, worker.access, gap_s=settings.gap_s)
    app.add_route(
        "/api/v1/events", EventList(worker.history.home, worker.access, ReadLimiter(4, 2))
    )
    add_fence_routes(app, worker.history.home, worker.access, bytes_max=BATCH_BODY_BYTES_MAX)
    _add_order_routes(app, worker, settings)
    add_webhook_routes(app, worker.history.home, worker.access, settings)
    _add_plan_routes(app, worker, settings)
    _add_other_routes(app, worker, settings)
    one, many = (
        FastPath(route, worker.access, edge, times[route.template])
        for route in (location, locations)
    )
    return Ingest(app, one, many, settings.body_timeout_s)


def _add_driver_routes(app: App, worker: IngestWorker) -> None:
    access, drivers = worker.access, "/api/v1/drivers"
    # More routes at once are no faster: one thread formats them all. A search mostly waits.
    route_reads, nearby_reads = ReadLimiter(2, 1), ReadLimiter(8, 4)
    app.add_route(f"{drivers}/{{driver_id}}/route", Route(worker.history, access, route_reads))
    app.add_route(f"{drivers}/nearby", Nearby(worker.live, worker.travel, access, nearby_reads))


def _add_order_routes(app: App, worker: IngestWorker, settings: Settings) -> None:
    nodes, access, order = worker.nodes, worker.access, "/api/v1/orders/{order_id}"
    app.add_route(f"{order}/location", OrderLocation(nodes, worker.live, access))
    expected = ExpectedArrivals(worker.live, worker.paces)
    add_order_routes(app, worker.orders, expected, access, gap_s=settings.gap_s)
    link = TrackingLink(
        nodes,
        worker.gate,
        access,
        audience=settings.auth_audience,
        ttl_s=settings.tracking_token_ttl_s,
        front_door_url=settings.front_door_url(),
    )
    app.add_route(f"{order}/tracking-token", link)


def _add_plan_routes(app: App, worker: IngestWorker, settings: Settings) -> None:
    planner = PlannerClient(settings.planner_host, settings.planner_port)
    fleet = FleetLookUp(worker.nodes, worker.live, worker.paces)
    app.add_route("/api/v1/plans", Plans(planner, fleet, worker.access))


def _add_other_routes(app: App, worker: IngestWorker, settings: Settings) -> None:
    rules = AppRules(
        bytes_max=BATCH_BODY_BYTES_MAX,
        limits=worker.limits,
        server_time=settings.app_time == "server",
    )
    for path, resource in resources(worker.intake, worker.access, rules, worker.app_counts):
        app.add_route(path, resource)
    for path, page in pages(settings, auth=worker.access.on):
        app.add_route(path, page)
    health = HealthResource(
        worker.live,
        worker.pulse,
        worker.backlog,
        worker.access,
        group=settings.consumer_group,
    )
    app.add_route("/health", health)
    app.add_route("/health/live", AliveResource())
