"""The OpenAPI 3.1 document, out of the tables and the code's own types. Pure.

Constraints (ranges, patterns, required fields) come from the types that read requests, so the
document cannot promise what the service does not do.
"""

from datetime import date
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec

from common.contract import (
    BATCH_BODY_BYTES_MAX,
    BATCH_FIXES_MAX,
    BODY_BYTES_MAX,
    ORDER_BODY_BYTES_MAX,
)
from common.event import DriverUpdate
from common.plans.limits import PLAN_BODY_BYTES_MAX
from common.problem import PROBLEMS
from common.settings import Settings
from ingest.openapi import shapes, tables
from ingest.openapi.dated import dated
from ingest.openapi.operation import ERRORS, Schema, error_response
from ingest.openapi.tables import drivers, orders, plans, roads, webhooks
from ingest.resources.roads.asked import BODY_BYTES_MAX as ROADS_BODY_BYTES_MAX

REF = "#/components/schemas/{name}"
# Bodies that are smaller than those of many fixes, or larger.
BODIES_MAX = {
    drivers.SEND.path: BODY_BYTES_MAX,
    orders.PUT.path: ORDER_BODY_BYTES_MAX,
    orders.STATE.path: ORDER_BODY_BYTES_MAX,
    webhooks.PUT.path: BODY_BYTES_MAX,
    roads.MATRIX.path: ROADS_BODY_BYTES_MAX,
    roads.ROUTE.path: ROADS_BODY_BYTES_MAX,
    plans.MAKE.path: PLAN_BODY_BYTES_MAX,
}
TAGS = {
    "Drivers": "Fixes in; positions and routes out.",
    "Orders": "What a driver delivers, how far it is, and what its customer may see.",
    "Plans": "Who serves what, in which order.",
    "Geofences": "Places that drivers enter and leave.",
    "Statistics": "Trips, stops and sums, computed from the history.",
    "Roads": "How long it takes, and which way.",
    "Events": "What happened: at geofences, to orders and drivers.",
    "Webhooks": "Tell your server what happens.",
    "Live": "WebSockets.",
    "Apps": "Phone apps that people already have, as they are.",
    "Health": "Is it well?",
}
# What fields mean, wherever they stand and no type says it.
FIELDS = {
    "latitude": "degrees, WGS84",
    "longitude": "degrees, WGS84",
    "speed": "km/h",
    "heading": "degrees clockwise from north; 360 is taken as 0",
    "accuracy": "metres",
    "altitude": "metres",
    "battery": "per cent",
    "recorded_at": "the device's time of the fix: RFC 3339, epoch seconds or epoch milliseconds",
    "received_at": "when it arrived",
}
ABOUT = (
    "Real-time driver tracking. Errors are `application/problem+json` (RFC 9457): programs read "
    "their `type`, listed at the schema ProblemDetails, and never `detail`. Times are RFC 3339 in "
    "UTC; positions WGS84 degrees; distances metres; `speed` km/h; `heading` degrees clockwise "
    "from north."
)


def build(settings: Settings, day: date, *, auth: bool) -> Schema:
    """The whole document; its examples are of `day`."""
    schemas = _schemas()
    paths: dict[str, Schema] = {}
    schema_of = partial(_schema_of, schemas, BATCH_FIXES_MAX)
    for operation in tables.OPERATIONS:
        described = operation.describe(schema_of, auth=auth)
        if "x-websocket" in described:
            socket = dict(described["x-websocket"])
            described["x-websocket"] = {**socket, "frames": schema_of(socket["frames"])}
        paths.setdefault(operation.path, {})[operation.method] = described
    _say_limits(paths, settings)
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "Fleetline",
            "version": version("fleetline"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "webhooks": {
            "event": {"post": webhooks.RECEIVED.describe(schema_of, auth=auth)},
        },
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "responses": {str(status): error_response(status) for status in ERRORS},
            "securitySchemes": _schemes(),
        },
    }
    return dated(document, day)  # type: ignore[no-any-return]


def _problem_table() -> str:
    """Every type of failure, in Markdown."""
    rows = [f"| `{p.type}` | {p.status} | {p.title} |" for p in PROBLEMS]
    return "\n".join(("| type | status | title |", "|---|---|---|", *rows))


def _say_limits(paths: dict[str, Schema], settings: Settings) -> None:
    """Bodies' sizes are settings, so the tables cannot say them."""
    for path, methods in paths.items():
        for described in methods.values():
            if "requestBody" in described:
                most = BODIES_MAX.get(path, BATCH_BODY_BYTES_MAX)
                described["requestBody"]["description"] = f"{most:,} bytes at most."


def _schemas() -> dict[str, Schema]:
    """Every named type that the tables use, with `$` where Python's `\\Z` ends a pattern."""
    named = [n for module in shapes.MODULES for n in vars(module).values()]
    kinds = [kind for kind in named if _is_struct(kind)]
    _, found = msgspec.json.schema_components([*kinds, DriverUpdate], ref_template=REF)
    schemas: dict[str, Schema] = _portable(found)
    problem = schemas["ProblemDetails"]
    problem["properties"]["type"]["enum"] = [p.type for p in PROBLEMS]
    problem["description"] += f"\n\n{_problem_table()}"
    for schema in schemas.values():
        for name, described in schema.get("properties", {}).items():
            if name in FIELDS and "$ref" not in described:
                described.setdefault("description", FIELDS[name])
    return schemas


def _schema_of(schemas: dict[str, Schema], fixes_max: int, kind: object) -> Schema:
    if kind == "batch":
        item = {"$ref": REF.format(name="DriverUpdate")}
        items: Schema = {"type": "array", "items": item, "minItems": 1, "maxItems": fixes_max}
        wrapped: Schema = {
            "type": "object",
            "required": ["locations"],
            "properties": {"locations": items},
        }
        return {"anyOf": [wrapped, items]}
    if isinstance(kind, tuple):
        return {"anyOf": [_schema_of(schemas, fixes_max, one) for one in kind]}
    (schema,), found = msgspec.json.schema_components([kind], ref_template=REF)
    for name in found:
        schemas.setdefault(name, _portable(found[name]))
    return dict(_portable(schema))


def _is_struct(kind: object) -> bool:
    return (
        isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
    )


def _portable(value: Any) -> Any:
    """A schema whose patterns are ECMA 262."""
    if isinstance(value, dict):
        return {
            k: v.replace(r"\Z", "$") if k == "pattern" and isinstance(v, str) else _portable(v)
            for k, v in value.items()
        }
    return [_portable(item) for item in value] if isinstance(value, list) else value


def _schemes() -> dict[str, Schema]:
    return {
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A JWT, or an API key (`flk_…`).",
        },
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "For apps: any user; the password is a token or a key.",
        },
        "token": {
            "type": "apiKey",
            "in": "query",
            "name": "token",
            "description": "A token or a key, for apps and sockets that can set no header.",
        },
    }
