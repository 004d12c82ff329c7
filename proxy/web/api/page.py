"""The OpenAPI document as one page of HTML, for people: nothing in it runs, and nothing is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

Tree = Mapping[str, Any]

_CODE = re.compile(r"`([^`]+)`")


@cache
def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_file("page.css").encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


SECURITY = {
    "Content-Security-Policy": _policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def render(document: Tree) -> str:
    info, by_tag = document["info"], _by_tag(document)
    return Template(_file("page.html")).substitute(
        title=f"{escape(info['title'])}: the memory API",
        version=escape(info["version"]),
        openapi=escape(document["openapi"]),
        style=_file("page.css"),
        intro=_paragraphs(info["description"]),
        contents="".join(_contents(name, calls) for name, calls in by_tag.items()) + _schema_links(document),
        calls="".join(_section(document, tag, by_tag[tag["name"]]) for tag in document["tags"]),
        schemas="".join(_schema(name, each) for name, each in sorted(document["components"]["schemas"].items())),
    )


Call = tuple[str, str, Tree]
"""Method, path and operation."""


def _by_tag(document: Tree) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    return found


# The parts of the page.


def _contents(name: str, calls: Iterable[Call]) -> str:
    links = "".join(
        f'<li><a href="#{escape(each["operationId"])}"><span class="method">{method}</span> {_short(path)}</a></li>'
        for method, path, each in calls
    )
    return f"<p>{escape(name.capitalize())}</p><ul>{links}</ul>"


def _schema_links(document: Tree) -> str:
    names = sorted(document["components"]["schemas"])
    return f"<p>Schemas</p><ul>{''.join(f'<li>{_link(each)}</li>' for each in names)}</ul>"


def _section(document: Tree, tag: Tree, calls: Iterable[Call]) -> str:
    name = escape(tag["name"])
    return (
        f'<section aria-labelledby="tag-{name}"><h2 id="tag-{name}">{name.capitalize()}</h2>'
        f"{_paragraphs(tag.get('description', ''))}{''.join(_call(document, *each) for each in calls)}</section>"
    )


def _call(document: Tree, method: str, path: str, operation: Tree) -> str:
    return (
        f'<article aria-labelledby="{escape(operation["operationId"])}">'
        f'<h3 id="{escape(operation["operationId"])}"><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
        f"<p>{_prose(operation['summary'])}.</p>{_paragraphs(operation.get('description', ''))}"
        f"{_parameters(operation['parameters'])}{_body(operation.get('requestBody'))}{_answers(document, operation)}</article>"
    )


def _parameters(parameters: Iterable[Tree]) -> str:
    rows = [
        (f"<code>{escape(each['name'])}</code>", _kind(each["schema"]) + _where(each), _described({**each, **_of_schema(each)}))
        for each in parameters
    ]
    return _table("Parameters", ("name", "type", "meaning"), rows) if rows else ""


def _where(parameter: Tree) -> str:
    return f", in the {parameter['in']}" + (", needed" if parameter["required"] else "")


def _of_schema(parameter: Tree) -> Tree:
    schema = parameter["schema"]
    return {name: schema[name] for name in ("default", "examples") if name in schema} | (
        {"examples": [parameter["example"]]} if "example" in parameter else {}
    )


def _body(body: Tree | None) -> str:
    if body is None:
        return ""
    [(media, content)] = body["content"].items()
    return f"<h4>Body</h4><p><code>{escape(media)}</code>: {_media_kind(content['schema'])}</p>"


def _answers(document: Tree, operation: Tree) -> str:
    rows = [
        (f"<code>{status}</code>", _kind_of_answer(each), _answer_described(each))
        for status, each in ((status, _resolved(document, each)) for status, each in operation["responses"].items())
    ]
    return _table("Answers", ("status", "body", "meaning"), rows)


def _kind_of_answer(response: Tree) -> str:
    return " or ".join(
        _media_kind(content["schema"]) + ("" if media == "application/json" else f" (<code>{escape(media)}</code>)")
        for media, content in response.get("content", {}).items()
    )


def _media_kind(schema: Tree) -> str:
    return f"a line for each {_kind(schema['contentSchema'])}" if "contentSchema" in schema else _kind(schema)


def _answer_described(response: Tree) -> str:
    names = ", ".join(f"<code>{escape(each)}</code>" for each in response.get("headers", {}))
    return _prose(response["description"]) + (f" <span class='note'>Headers: {names}.</span>" if names else "")


def _schema(name: str, schema: Tree) -> str:
    required = schema.get("required", ())
    rows = [
        (f"<code>{escape(field)}</code>", _kind(each) + (", needed" if field in required else ""), _described(each))
        for field, each in schema.get("properties", {}).items()
    ]
    table = _table(f"Fields of {name}", ("field", "type", "meaning"), rows) if rows else ""
    anchor = escape(name)
    return (
        f'<article aria-labelledby="schema-{anchor}"><h3 id="schema-{anchor}">{anchor}</h3>'
        f"{_paragraphs(schema.get('description', ''))}{table}</article>"
    )


# Schemas in words.


def _kind(schema: Tree) -> str:
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "const" in schema:
        return _code(schema["const"])
    if "enum" in schema:
        return " | ".join(map(_code, schema["enum"]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}{_bounds(schema)}"
    return escape(f"{schema.get('type', 'any')}{_format(schema)}") + _bounds(schema)


def _format(schema: Tree) -> str:
    return f" ({schema['format']})" if "format" in schema else ""


_BOUNDS = {
    "minimum": "from {}",
    "exclusiveMinimum": "above {}",
    "maximum": "to {}",
    "maxLength": "at most {} characters",
    "maxItems": "at most {}",
}


def _bounds(schema: Tree) -> str:
    bounds = [text.format(schema[name]) for name, text in _BOUNDS.items() if name in schema]
    return f", {' '.join(bounds)}" if bounds else ""


def _described(field: Tree) -> str:
    text = _prose(field.get("description") or _inner(field).get("description", ""))
    if field.get("default") is not None:
        text += f" <span class='note'>Default: {_code(field['default'])}.</span>"
    examples = [each for each in field.get("examples") or _inner(field).get("examples", []) if each not in (None, [], {})]
    return text + (f" <span class='note'>Example: {_code(examples[0])}</span>" if examples else "")


def _inner(field: Tree) -> Tree:
    """Of a field that may be null, what it else is."""
    options: list[Tree] = field.get("anyOf", [])
    return next((each for each in options if each.get("type") != "null"), {})


def _resolved(document: Tree, tree: Tree) -> Tree:
    for name in tree["$ref"].removeprefix("#/").split("/") if "$ref" in tree else ():
        document = document[name]
        tree = document
    return tree


# HTML.


def _table(caption: str, heads: Iterable[str], rows: Iterable[tuple[str, str, str]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "".join(f'<tr><th scope="row">{first}</th><td>{kind}</td><td>{text}</td></tr>' for first, kind, text in rows)
    title = escape(caption)
    return (
        f'<h4>{title}</h4><div class="scroll" role="region" aria-label="{title}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{_prose(each)}</p>" for each in text.split("\n\n") if each)


def _prose(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def _code(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"<code>{escape(text)}</code>"


def _link(name: str) -> str:
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def _short(path: str) -> str:
    return escape(path.removeprefix("/memory/v1"))
