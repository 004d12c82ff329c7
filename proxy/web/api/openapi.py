"""The OpenAPI 3.1 document, made of the same types that check what comes in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from proxy import __version__
from proxy.web.api.bodies import Error
from proxy.web.api.operation import BASE, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, JSON, Operation

Tree = dict[str, Any]

_REF = "#/components/schemas/{model}"
_BODILESS = (HTTPStatus.SWITCHING_PROTOCOLS, HTTPStatus.NOT_MODIFIED)
_ANY_CALL = (400, 401, 403, 413, 503)
"""What every call may answer, whatever it is."""

_DESCRIPTION = """\
What memory-proxy remembers: look at it, correct it, take it along, erase it.

Without `auth.admin_token` it answers to this machine only. Errors have OpenAI's shape; `param` names the field that was wrong. \
Times are ISO 8601 in UTC; one that is given without an offset is taken for UTC. A method that a path does not take is a 405, \
and `Allow` says which it takes. `HEAD` works wherever `GET` does."""

_TAGS = {
    "memories": "What is remembered: added, listed, looked at, corrected, taken out.",
    "search": "What is found.",
    "facts": "Facts that have a name; the profile carries them into every conversation.",
    "transfer": "Memories that leave with people, and come back.",
    "users": "Whoever is to be forgotten, and figures.",
    "about": "This document.",
}
_REQUEST_HEADERS: Mapping[str, Tree] = {
    IF_MATCH: {
        "description": "The `ETag` that was read, or several: 412 if it has changed since. `*`: whatever it is, if it is there.",
        "example": '"5f1d6c0e9b8a7c6d5e4f3a2b"',
    },
    IF_NONE_MATCH: {
        "description": "The `ETag` that is known. Of what is still so, a `GET` answers 304. `*` with a `PUT`: only if there is none.",
        "example": '"5f1d6c0e9b8a7c6d5e4f3a2b"',
    },
    IDEMPOTENCY_KEY: {
        "description": "A name for this request, of the user's own: the same again changes nothing and gets the same, another is a 409.",
        "example": "order-17",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
}
_ANSWER_HEADERS: Mapping[str, tuple[str, str]] = {
    "ETag": ("Which version of it this is, for `If-Match`.", '"5f1d6c0e9b8a7c6d5e4f3a2b"'),
    "Location": ("Where it is.", "/memory/v1/memories/7b0c5f0e-52a1-4a0f-8d25-3f6a8f1c2d3e"),
    "Content-Disposition": ("A file to be saved, for browsers.", 'attachment; filename="memories.jsonl"'),
    "Retry-After": ("After how many seconds it is worth another try.", "1"),
    "Allow": ("The methods that the path takes.", "GET, PUT, DELETE, HEAD"),
    "WWW-Authenticate": ("What is asked for.", 'Basic realm="memory-proxy", charset="UTF-8"'),
}
_ERRORS: Mapping[int, tuple[str, str, str]] = {
    400: ("A parameter, a header or the body is wrong.", "bad_request", "user: is missing"),
    401: ("The admin token is missing, or is not that.", "invalid_admin_token", "This needs the proxy's auth.admin_token …"),
    403: ("Not from there.", "forbidden", "Without auth.admin_token this answers to this machine only."),
    404: ("There is no such thing of this user's.", "not_found", "There is no memory '7b0c5f0e…'."),
    405: ("The path takes other methods.", "method_not_allowed", "This path takes GET, PUT, DELETE, HEAD."),
    409: (
        "It is not in the state for that.",
        "conflict",
        "Idempotency-Key: this key was used for another request; use a new one.",
    ),
    412: ("It has changed since it was read.", "has_changed", "It is not, or no longer, what was read: read it again."),
    413: (
        "The body has more than 16 MiB; of an import, more than `limits.request_bytes`.",
        "request_too_large",
        "The body has more than 16777216 bytes: send less at a time.",
    ),
    415: ("The body is not said to be JSON.", "unsupported_media_type", "Changes are asked for in JSON."),
    500: ("It could not be written down.", "not_written", "data/settings.yaml can't be written: …; nothing was changed"),
    503: ("The store, the embedder or the journal is out of order.", "out_of_order", "This can't be done now: …"),
}
_HEADERS_OF_ERRORS = {401: ("WWW-Authenticate",), 405: ("Allow",), 503: ("Retry-After",)}


_DESCRIBED: Mapping[str, Tree] = {"JsonValue": {"description": "Any JSON value; whole numbers of 64 bits at most."}}
"""Of pydantic's own types."""


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat the field's name."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False


def document(operations: Sequence[Operation]) -> Tree:
    """For *operations*."""
    wanted = list(dict.fromkeys(_types(operations)))
    schemas, definitions = models_json_schema(wanted, ref_template=_REF, schema_generator=_Schemas)
    paths: Tree = {}
    for each in operations:
        paths.setdefault(f"{BASE}{each.path}", {})[each.method.lower()] = _operation(each, schemas, definitions["$defs"])
    used = {
        name: _DESCRIBED.get(name, each)
        for name, each in definitions["$defs"].items()
        if name not in _parameter_types(operations)
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "memory-proxy",
            "version": __version__,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This proxy."}],
        "security": [{}, {"bearer": []}, {"basic": []}],
        "tags": [_tag(each) for each in dict.fromkeys(each.tag for each in operations)],
        "paths": paths,
        "components": {
            "schemas": used,
            "responses": {_name(status): _error(status, schemas) for status in _ERRORS},
            "headers": {name: _header(*described) for name, described in _ANSWER_HEADERS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`auth.admin_token`."},
                "basic": {"type": "http", "scheme": "basic", "description": "Any name, with `auth.admin_token` as the password."},
            },
        },
    }


def _tag(name: str) -> Tree:
    return {"name": name} | ({"description": _TAGS[name]} if name in _TAGS else {})


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
    if operation.description:
        described["description"] = operation.description
    if operation.body_type is not None:
        schema = _content(operation.body_media, schemas[operation.body_type, "validation"])
        described["requestBody"] = {"required": True, "content": {operation.body_media: schema}}
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
        yield {"name": name, "in": "header", "required": False, "schema": {"type": "string"}, **_REQUEST_HEADERS[name]}


def _without_null(field: Tree) -> Tree:
    """A parameter that is not given is left out; there is no null in a query."""
    field = {name: value for name, value in field.items() if name != "default" or value is not None}
    options = [each for each in field.pop("anyOf", []) if each.get("type") != "null"]
    if len(options) == 1:
        return {**options[0], **field}
    return {**field, "anyOf": options} if options else field


def _responses(operation: Operation, schemas: Mapping[Any, Tree]) -> Tree:
    responses: Tree = {str(status): _response(operation, status, schemas) for status in operation.answers}
    media = (415,) if operation.method not in ("GET", "DELETE") else ()
    for status in sorted({*_ANY_CALL, *media, *operation.errors}):
        responses[str(status)] = {"$ref": f"#/components/responses/{_name(status)}"}
    return responses


def _response(operation: Operation, status: int, schemas: Mapping[Any, Tree]) -> Tree:
    kind = operation.answers[status]
    response: Tree = {"description": HTTPStatus(status).phrase}
    gives = ("ETag",) if status == HTTPStatus.NOT_MODIFIED else operation.gives
    if gives:
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in gives}
    if status not in _BODILESS:
        schema = {"type": "string"} if kind is None else schemas[kind, "serialization"]
        response["content"] = {operation.media: _content(operation.media, schema)}
    return response


def _content(media: str, schema: Tree) -> Tree:
    """What is not JSON as a whole is a text, whose lines are what *schema* says."""
    if media == JSON or schema == {"type": "string"}:
        return {"schema": schema}
    return {"schema": {"type": "string", "contentMediaType": media, "contentSchema": schema}}


def _name(status: int) -> str:
    return "".join(each.capitalize() for each in HTTPStatus(status).phrase.split())


def _error(status: int, schemas: Mapping[Any, Tree]) -> Tree:
    description, code, message = _ERRORS[status]
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "proxy_error"
    example = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    response: Tree = {
        "description": description,
        "content": {JSON: {"schema": schemas[Error, "serialization"], "example": example}},
    }
    if names := _HEADERS_OF_ERRORS.get(status):
        response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return response


def _header(description: str, example: str) -> Tree:
    return {"description": description, "schema": {"type": "string"}, "example": example}
