"""The document as such: complete, valid, readable."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import falcon.asgi
import falcon.testing
import jsonschema_rs
import orjson
import pytest
from falcon.inspect import inspect_routes

from common.access.policy import ALLOWED, Action
from common.problem import PROBLEMS
from common.settings import load_settings
from ingest.app import create_app
from ingest.openapi.document import build
from ingest.openapi.pages import DocsPage, pages
from ingest.openapi.tables import OPERATIONS

DAY = date(2026, 3, 1)
DOCUMENT = build(load_settings(_env_file=None), DAY, auth=True)


def find(value: Any, key: str) -> list[Any]:
    """Every value under `key`, however deep."""
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [hit for inner in value.values() for hit in find(inner, key)]
    return [hit for inner in value for hit in find(inner, key)] if isinstance(value, list) else []


def test_every_reference_leads_somewhere() -> None:
    for reference in find(DOCUMENT, "$ref"):
        target: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            target = target[name]


def test_patterns_are_ones_that_browsers_know() -> None:
    patterns = set(find(DOCUMENT, "pattern"))
    assert patterns == {r"^(?!\.{1,2}$)[A-Za-z0-9._:\-]{1,64}$"}


def test_every_action_has_an_operation_that_names_its_roles() -> None:
    asked = {operation.action for operation in OPERATIONS}
    assert asked >= set(Action)
    text = DOCUMENT["paths"]["/api/v1/drivers/nearby"]["get"]["description"]
    assert all(role in text for role in ALLOWED[Action.FIND_DRIVERS])


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_examples_fit_their_schemas(operation: Any) -> None:
    described = DOCUMENT["paths"][operation.path][operation.method]
    contents = [described.get("requestBody", {}).get("content", {})]
    contents.extend(answer.get("content", {}) for answer in described["responses"].values())
    for content in contents:
        for media in content.values():
            validate(media["schema"], media["example"])
    for param in described.get("parameters", ()):
        validate(param["schema"], param["example"])
    names = set(re.findall(r"{(\w+)}", operation.path))
    assert names == {p["name"] for p in described.get("parameters", ()) if p["in"] == "path"}
    if operation.action is not None and not operation.open:
        assert {"401", "403", "429"} <= set(described["responses"])


def validate(schema: Any, example: object) -> None:
    jsonschema_rs.Draft202012Validator({**schema, **DOCUMENT}).validate(example)


def test_names_are_unique() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_without_access_control_credentials_are_optional() -> None:
    document = build(load_settings(_env_file=None), DAY, auth=False)
    for operation in OPERATIONS:
        security = document["paths"][operation.path][operation.method]["security"]
        assert security == [] or security[0] == {}


# What is served and not part of the API: the description's own pages.
PAGES = re.compile(r"/openapi\.json|/docs(/.*)?")


def test_every_path_of_the_service_is_described() -> None:
    app = create_app(load_settings(_env_file=None)).app
    served = {
        (route.path.rstrip("/"), method.method.lower())
        for route in inspect_routes(app)
        for method in route.methods
        if not (method.internal or method.method == "HEAD" or PAGES.fullmatch(route.path))
    }
    described = {(o.path, o.method) for o in OPERATIONS if o.tag != "Live"}
    assert served == described


def test_every_problem_type_is_listed() -> None:
    schema = DOCUMENT["components"]["schemas"]["ProblemDetails"]
    assert schema["properties"]["type"]["enum"] == [problem.type for problem in PROBLEMS]
    for problem in PROBLEMS:
        assert f"| `{problem.type}` | {problem.status} |" in schema["description"]
    for status, answer in DOCUMENT["components"]["responses"].items():
        types = re.findall(r"`(/problems/[a-z-]+)`", answer["description"])
        assert types == [problem.type for problem in PROBLEMS if str(problem.status) == status]


def test_examples_are_of_the_day_that_asks() -> None:
    # They were dated when the worker started, and refused as too old a month later.
    day = DAY

    def asked() -> Any:
        (page,) = [p for path, p in served if path == "/openapi.json"]
        client = falcon.testing.TestClient(_app(page))
        return client.simulate_get("/openapi.json").json

    served = pages(load_settings(_env_file=None), auth=False, day=lambda: day)
    assert asked() == build(load_settings(_env_file=None), DAY, auth=False)
    day = DAY + timedelta(days=40)
    document = asked()
    fix = document["paths"]["/api/v1/drivers/{driver_id}/location"]["post"]
    example = fix["requestBody"]["content"]["application/json"]["example"]
    assert example["recorded_at"] == "2026-04-10T00:00:00Z"
    (own,) = find(document["paths"]["/owntracks"], "tst")
    assert datetime.fromtimestamp(own, UTC).date() == day
    text = orjson.dumps(document).decode()
    assert DAY.isoformat() not in text
    assert "{day}" not in text


def _app(page: DocsPage) -> Any:
    app: Any = falcon.asgi.App()
    app.add_route("/openapi.json", page)
    return app
