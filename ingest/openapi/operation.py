"""A row of the table: one operation, and what it becomes in the document. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.access.policy import ALLOWED, Action, Scope
from common.problem import MEDIA_TYPE, PROBLEMS, problem_of

Schema = dict[str, Any]
# From a type to its schema, or a reference to it.
SchemaOf = Callable[[object], Schema]

JSON = "application/json"
# Answers that any operation with credentials may give.
ACCESS_STATUSES = (401, 403, 429)
SCHEMES: tuple[Schema, ...] = ({"bearer": []}, {"basic": []})
OWN = {Scope.ANY: "", Scope.OWN_DRIVER: " (its own driver)", Scope.OWN_ORDER: " (its own order)"}


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter; `place` is path, query or header."""

    name: str
    type: object
    text: str
    example: object
    place: str = "query"
    required: bool = False

    def describe(self, schema_of: SchemaOf) -> Schema:
        """The parameter object."""
        return {
            "name": self.name,
            "in": self.place,
            "required": self.required or self.place == "path",
            "description": self.text,
            "schema": schema_of(self.type),
            "example": self.example,
        }


@dataclass(frozen=True, slots=True)
class Media:
    """A body: a type, or None for text of another format, and an example."""

    type: object
    example: object

    def describe(self, schema_of: SchemaOf) -> Schema:
        """The media type object."""
        schema = {"type": "string"} if self.type is None else schema_of(self.type)
        return {"schema": schema, "example": self.example}


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: what it means, its bodies by media type, its headers with their texts."""

    text: str
    bodies: Mapping[str, Media]
    headers: Mapping[str, str]


def answer(text: str, type_: object = None, example: object = None, **headers: str) -> Answer:
    """A JSON answer; without a type one without a body. Headers are named with underscores."""
    bodies = {} if type_ is None else {JSON: Media(type_, example)}
    return Answer(text, bodies, {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path. `action` is None where no credentials are asked for.

    `open` ones answer everybody, and tell more to the roles that may do `action`.
    """

    method: str
    path: str
    name: str
    tag: str
    summary: str
    text: str
    answers: Mapping[int, Answer]
    errors: tuple[int, ...] = ()
    params: tuple[Param, ...] = ()
    body: Mapping[str, Media] | None = None
    body_required: bool = True
    action: Action | None = None
    open: bool = False
    # Further ways to say who asks, beside the two that are taken everywhere.
    schemes: tuple[str, ...] = ()
    extra: Mapping[str, object] | None = None

    def describe(self, schema_of: SchemaOf, *, auth: bool) -> Schema:
        """The operation object. Without `auth` credentials are not asked for, and harmless."""
        text = self.text
        errors = self.errors
        security: list[Schema] = []
        if self.action is not None:
            text += f"\n\n**With AUTH=on:** {roles(self.action)}."
            security = [*SCHEMES, *({name: []} for name in self.schemes)]
            if self.open or not auth:
                security.insert(0, {})
            if not self.open:
                errors = (*errors, *ACCESS_STATUSES)
        found: Schema = {
            "operationId": self.name,
            "tags": [self.tag],
            "summary": self.summary,
            "description": text,
            "security": security,
            "responses": {
                **{str(s): _answer(a, schema_of) for s, a in self.answers.items()},
                **{str(s): {"$ref": f"#/components/responses/{s}"} for s in sorted(errors)},
            },
        }
        if self.params:
            found["parameters"] = [param.describe(schema_of) for param in self.params]
        if self.body is not None:
            found["requestBody"] = {
                "required": self.body_required,
                "content": {k: media.describe(schema_of) for k, media in self.body.items()},
            }
        return {**found, **(self.extra or {})}


def roles(action: Action) -> str:
    """The roles that may do `action`, out of the policy itself."""
    return ", ".join(f"{role}{OWN[scope]}" for role, scope in ALLOWED[action].items())


def _answer(found: Answer, schema_of: SchemaOf) -> Schema:
    described: Schema = {"description": found.text}
    if found.bodies:
        described["content"] = {k: media.describe(schema_of) for k, media in found.bodies.items()}
    if found.headers:
        described["headers"] = {
            name: {"description": text, "schema": {"type": "string"}}
            for name, text in found.headers.items()
        }
    return described


ERRORS: Mapping[int, str] = {
    400: "The body is not JSON, or the request is not well-formed.",
    401: "The credentials are unknown, over or revoked, or there are none.",
    403: "The role may not do this, or not to this driver or order.",
    404: "There is nothing to show: unknown, too old, or ended.",
    408: "The body did not arrive in time.",
    409: "It does not fit what is there, or it is too late for that.",
    413: "The body is too large.",
    415: "The body must be JSON.",
    422: "A value is out of range. All fields at fault are named.",
    429: "Too fast, or too many refusals from this address. See Retry-After.",
    503: "Not now. See Retry-After; sending the same again does no harm.",
}


def error_response(status: int) -> Schema:
    """The shared answer for a failure."""
    problem = problem_of(status)
    types = ", ".join(f"`{kind.type}`" for kind in PROBLEMS if kind.status == status)
    example: Schema = {
        "type": problem.type,
        "title": problem.title,
        "status": status,
        "detail": ERRORS[status],
    }
    if status == 422:
        example["detail"] = "latitude: is required"
        example["errors"] = [{"field": "latitude", "detail": "is required"}]
    described: Schema = {
        "description": f"{ERRORS[status]} Types: {types}.",
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/ProblemDetails"},
                "example": example,
            }
        },
    }
    if status in (429, 503):
        described["headers"] = {
            "Retry-After": {
                "description": "seconds to wait",
                "schema": {"type": "integer", "minimum": 1},
            }
        }
    if status == 401:
        described["headers"] = {
            "WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}
        }
    return described
