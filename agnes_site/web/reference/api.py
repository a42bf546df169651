"""Every operation of the HTTP API, from its OpenAPI schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.http import HttpRequest
from django.urls import resolve

from agnes_site.web.reference import markdown

Schema = Mapping[str, Any]

_INTRODUCTION = """\
The same as a schema for programs: `/api/openapi.json` of a running server, or
[openapi.json](openapi.json); `/api/docs` of a running server lets you try it.

Programs send a token with each request: `Authorization: Bearer agn_…`. A browser uses its
session, and sends the page's CSRF token with whatever changes something. What fails answers as
[errors.md](errors.md) says. A table that the caller may not read is reported exactly like one
that does not exist."""

_CALLERS = {"AnyUser": "everybody who is signed in", "AdminUser": "administrators"}


def schema() -> Schema:
    """Return the OpenAPI schema as the server itself would answer with it."""
    address = "/api/openapi.json"
    request = HttpRequest()
    request.method, request.path = "GET", address
    view = resolve(address)
    answer: Schema = json.loads(view.func(request, *view.args, **view.kwargs).content)
    return answer


def as_json(schema: Schema) -> str:
    """Return the schema as text whose changes can be read line by line."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def operations(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    """Yield each operation: its method in capitals, its path, and its part of the schema."""
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def caller(operation: Schema) -> str:
    """Return who may call an operation: the name of its authentication, empty for anybody."""
    return next((name for allowed in operation.get("security", []) for name in allowed), "")


def page(schema: Schema) -> str:
    """Return the page: operations by subject, then the objects that they take and return."""
    by_tag: dict[str, list[str]] = {}
    for method, path, operation in operations(schema):
        section = by_tag.setdefault(operation["tags"][0], [])
        section += _operation(schema, method, path, operation)
    blocks = [
        block
        for tag, section in sorted(by_tag.items())
        for block in (f"## {tag.title()}", *section)
    ]
    return markdown.document(
        "HTTP API", _INTRODUCTION, *blocks, "## Objects", *_objects(schema["components"]["schemas"])
    )


def _operation(schema: Schema, method: str, path: str, operation: Schema) -> Iterator[str]:
    yield f"### {method} {path}"
    yield markdown.paragraph(operation["description"])
    yield f"For {_CALLERS[caller(operation)] if caller(operation) else 'anybody'}."
    parameters = [
        [
            markdown.code(given["name"]),
            given["in"],
            _type(given["schema"]) + (", required" if given.get("required") else ""),
            given.get("description", ""),
        ]
        for given in operation.get("parameters", [])
    ]
    yield markdown.table(["Parameter", "In", "Type", "Meaning"], parameters)
    if "requestBody" in operation:
        yield f"Body: {_contents(schema, operation['requestBody'])}."
    answers = [
        f"{status} {_contents(schema, answer)}" for status, answer in operation["responses"].items()
    ]
    yield f"Answers: {'; '.join(answers)}."
    for answer in operation["responses"].values():
        for content in answer.get("content", {}).values():
            yield _example(content)


def _contents(schema: Schema, part: Schema) -> str:
    found = [
        _type(content["schema"]) if "schema" in content else markdown.code(kind)
        for kind, content in part.get("content", {}).items()
    ]
    return ", ".join(found) or str(part.get("description", "")).lower()


def _objects(components: Schema) -> Iterator[str]:
    for name, component in sorted(components.items()):
        yield f"### {name}"
        yield markdown.paragraph(component.get("description", ""))
        required = component.get("required", [])
        rows = [
            [
                markdown.code(field),
                _type(shape) + (", required" if field in required else ""),
                shape.get("description", ""),
            ]
            for field, shape in component.get("properties", {}).items()
        ]
        yield markdown.table(["Field", "Type", "Meaning"], rows)
        yield _example(component)


def _example(part: Schema) -> str:
    if "example" not in part:
        return ""
    return markdown.fenced(
        json.dumps(part["example"], indent=2, ensure_ascii=False), language="json"
    )


def _type(shape: Schema) -> str:
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in shape:
        return " or ".join(_type(each) for each in shape["anyOf"])
    if "enum" in shape:
        return " or ".join(markdown.code(value) for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_type(shape.get('items', {}))}"
    return str(shape.get("format") or shape.get("type") or "anything")
