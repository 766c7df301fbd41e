"""The document as a page to read and to print: plain HTML, no script. Pure."""

import re
from collections.abc import Iterable, Iterator
from html import escape

import orjson

from ingest.openapi.operation import Schema

_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
# Constraints as they are shown, by their name in JSON Schema.
_LIMITS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minItems": "at least {}",
    "maxItems": "at most {}",
    "pattern": "matches {}",
    "format": "{}",
}


def render(document: Schema) -> bytes:
    """The whole page."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])} API</title>",
        '<link rel="icon" href="data:,">',
        '<link rel="stylesheet" href="/docs/assets/reading.css"></head><body>',
        "<nav><a href='/docs'>Try it out</a> · <a href='/openapi.json'>openapi.json</a>",
        *_menu(document),
        "</nav><main>",
        f"<h1>{escape(info['title'])} API</h1><p class='dim'>Version {escape(info['version'])}</p>",
        _text(info["description"]),
        *_access(document),
    ]
    for tag in document["tags"]:
        name = tag["name"]
        parts.append(f"<h2 id='{_anchor(name)}'>{escape(name)}</h2>{_text(tag['description'])}")
        for path, method, operation in _operations(document, name):
            parts.extend(_operation(path, method, operation, document))
    parts.append("<h2 id='types'>Types</h2>")
    for name, schema in document["components"]["schemas"].items():
        parts.append(f"<h3 id='{_type(name)}'>{escape(name)}</h3>")
        parts.append(_text(schema.get("description", "")))
        parts.append(_fields(schema))
    parts.append("</main></body></html>")
    return "".join(parts).encode()


def _menu(document: Schema) -> Iterator[str]:
    for tag in document["tags"]:
        name = tag["name"]
        yield f"<h2>{escape(name)}</h2><ul>"
        for _, _, operation in _operations(document, name):
            link = _anchor(operation["operationId"])
            yield f"<li><a href='#{link}'>{escape(operation['summary'])}</a></li>"
        yield "</ul>"
    yield "<h2>More</h2><ul><li><a href='#access'>Access</a></li>"
    yield "<li><a href='#types'>Types</a></li></ul>"


def _operations(document: Schema, tag: str) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield path, method, operation


def _access(document: Schema) -> Iterator[str]:
    yield "<h2 id='access'>Access</h2><table>"
    for name, scheme in document["components"]["securitySchemes"].items():
        kind = scheme.get("scheme", f"in the {scheme.get('in')}")
        yield (
            f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td>"
            f"<td>{_inline(scheme['description'])}</td></tr>"
        )
    yield "</table>"


def _operation(path: str, method: str, operation: Schema, document: Schema) -> Iterator[str]:
    yield f"<h3 id='{_anchor(operation['operationId'])}'>{escape(operation['summary'])}</h3>"
    yield f"<p class='path'><code><span class='method'>{method}</span>{escape(path)}</code></p>"
    yield _text(operation["description"])
    if "parameters" in operation:
        yield "<h4>Parameters</h4><table>"
        for param in operation["parameters"]:
            place = param["in"] + (", required" if param["required"] else "")
            yield (
                f"<tr><td><code>{escape(param['name'])}</code></td>"
                f"<td class='dim'>{place}</td><td>{_kind(param['schema'])}</td>"
                f"<td>{_inline(param['description'])}</td></tr>"
            )
        yield "</table>"
    if "requestBody" in operation:
        body = operation["requestBody"]
        yield f"<h4>Body</h4>{_text(body.get('description', ''))}"
        yield from _media(body["content"])
    if "x-websocket" in operation:
        socket = operation["x-websocket"]
        yield f"<h4>Frames</h4><p>{_kind(socket['frames'])}</p>{_example(socket['example'])}"
    for status, answer in operation["responses"].items():
        yield from _answer(status, answer, document)


def _answer(status: str, answer: Schema, document: Schema) -> Iterator[str]:
    if "$ref" in answer:
        shared = document["components"]["responses"][status]
        yield f"<p class='dim'><b>{status}</b> {_inline(shared['description'])}</p>"
        return
    yield f"<h4>{status}</h4>{_text(answer['description'])}"
    yield from _media(answer.get("content", {}))


def _media(content: Schema) -> Iterator[str]:
    for media_type, media in content.items():
        yield f"<p><code>{escape(media_type)}</code> {_kind(media['schema'])}</p>"
        yield _example(media["example"])


def _example(example: object) -> str:
    if isinstance(example, str):
        return f"<pre>{escape(example)}</pre>" if example else ""
    return f"<pre>{escape(orjson.dumps(example, option=orjson.OPT_INDENT_2).decode())}</pre>"


def _fields(schema: Schema) -> str:
    rows = []
    for name, described in schema.get("properties", {}).items():
        need = "required" if name in schema.get("required", ()) else ""
        rows.append(
            f"<tr><td><code>{escape(name)}</code></td><td class='dim'>{need}</td>"
            f"<td>{_kind(described)}</td><td>{_inline(described.get('description', ''))}</td></tr>"
        )
    return f"<table>{''.join(rows)}</table>"


def _kind(schema: Schema) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{_type(name)}'>{escape(name)}</a>"
    if "anyOf" in schema:
        return " or ".join(_unique(_kind(each) for each in schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    words = [escape(str(schema.get("type", "any")))]
    if schema.get("type") == "array" and schema.get("items"):
        words = [f"list of {_kind(schema['items'])}"]
    if schema.get("type") == "object" and "properties" in schema:
        words = [
            "{"
            + ", ".join(f"{escape(k)}: {_kind(v)}" for k, v in schema["properties"].items())
            + "}"
        ]
    words.extend(
        escape(text.format(schema[name])) for name, text in _LIMITS.items() if name in schema
    )
    return ", ".join(words)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.split("\n\n") if part)


def _inline(text: str) -> str:
    return _BOLD.sub(r"<b>\1</b>", _CODE.sub(r"<code>\1</code>", escape(text, quote=False)))


def _anchor(name: str) -> str:
    return escape(name.lower())


def _type(name: str) -> str:
    """The anchor of a type, which may share its name with a section."""
    return f"type-{_anchor(name)}"
