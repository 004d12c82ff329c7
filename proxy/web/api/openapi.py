"""The OpenAPI 3.1 document, made of the same types that check what comes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from proxy import __version__
from proxy.web.api.bodies import Error
from proxy.web.api.operation import BASE, IDEMPOTENCY_KEY, IF_MATCH, JSON, Operation

Tree = dict[str, Any]

_REF = "#/components/schemas/{model}"
_ANY_CALL = (400, 401, 403, 413, 503)
"""What every call may answer, whatever it is."""

_HEADERS: Mapping[str, Tree] = {
    IF_MATCH: {"description": "The `ETag` that was read: 412 if it has changed since.", "example": '"5f1d6c0e9b8a7c6d5e4f3a2b"'},
    IDEMPOTENCY_KEY: {
        "description": "A name for this request: the same again changes nothing, and gets the same.",
        "example": "order-17",
    },
}
_DESCRIPTION = """\
What memory-proxy remembers: look at it, correct it, take it along, erase it.

Errors have OpenAI's shape. Times are ISO 8601 in UTC. See docs/api.md for the rules that hold for all calls."""


def document(operations: Sequence[Operation]) -> Tree:
    """For *operations*."""
    wanted = list(dict.fromkeys(_types(operations)))
    schemas, definitions = models_json_schema(wanted, ref_template=_REF)
    paths: Tree = {}
    for each in operations:
        paths.setdefault(f"{BASE}{each.path}", {})[each.method.lower()] = _operation(each, schemas, definitions["$defs"])
    used = {name: each for name, each in definitions["$defs"].items() if name not in _parameter_types(operations)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memory-proxy",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "tags": [{"name": each} for each in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "schemas": used,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`auth.admin_token`."},
                "basic": {"type": "http", "scheme": "basic", "description": "Any name, with `auth.admin_token` as the password."},
            },
        },
    }


Wanted = tuple[type[BaseModel], JsonSchemaMode]


def _types(operations: Iterable[Operation]) -> Iterable[Wanted]:
    yield Error, "serialization"
    for each in operations:
        for given in (each.path_type, each.query_type, each.body_type):
            if given is not None:
                yield given, "validation"
        for answer in each.answers.values():
            if answer is not None:
                yield answer, "serialization"


def _parameter_types(operations: Iterable[Operation]) -> set[str]:
    return {kind.__name__ for each in operations for kind in (each.path_type, each.query_type)}


def _operation(operation: Operation, schemas: Mapping[Any, Tree], definitions: Tree) -> Tree:
    described: Tree = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [
            *_parameters("path", operation.path_type, definitions),
            *_parameters("query", operation.query_type, definitions),
            *_header_parameters(operation),
        ],
        "responses": _responses(operation, schemas),
    }
    if operation.body_type is not None:
        schema = schemas[operation.body_type, "validation"]
        described["requestBody"] = {"required": True, "content": {operation.body_media: {"schema": schema}}}
    elif operation.body_media != JSON:
        lines = {"type": "string", "description": "JSON Lines: one memory a line, as they are exported."}
        described["requestBody"] = {"required": True, "content": {operation.body_media: {"schema": lines}}}
    return described


def _parameters(where: str, kind: type[BaseModel], definitions: Tree) -> Iterable[Tree]:
    schema = definitions[kind.__name__]
    for name, described in schema.get("properties", {}).items():
        field = _without_null(described)
        parameter: Tree = {"name": name, "in": where, "required": where == "path" or name in schema.get("required", ())}
        if description := field.pop("description", None):
            parameter["description"] = description
        if field.get("type") == "array":
            parameter |= {"style": "form", "explode": False}
        yield {**parameter, "schema": field}


def _header_parameters(operation: Operation) -> Iterable[Tree]:
    for name in operation.headers:
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
            **_HEADERS[name],
        }


def _without_null(field: Tree) -> Tree:
    """A parameter that is not given is left out; there is no null in a query."""
    field = {name: value for name, value in field.items() if name not in ("title", "default") or value is not None}
    field.pop("title", None)
    options = [each for each in field.pop("anyOf", []) if each.get("type") != "null"]
    if len(options) == 1:
        return {**options[0], **field}
    return {**field, "anyOf": options} if options else field


def _responses(operation: Operation, schemas: Mapping[Any, Tree]) -> Tree:
    responses: Tree = {}
    for status, kind in operation.answers.items():
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            responses[str(status)] = {"description": "The WebSocket."}
            continue
        content = {"schema": {"type": "string"} if kind is None or operation.media != JSON else schemas[kind, "serialization"]}
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": {operation.media: content}}
    error = {JSON: {"schema": schemas[Error, "serialization"]}}
    media = (415,) if operation.method not in ("GET", "DELETE") else ()
    for status in sorted({*_ANY_CALL, *media, *operation.errors}):
        responses[str(status)] = {"description": HTTPStatus(status).phrase, "content": error}
    return responses
