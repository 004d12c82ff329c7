"""One call of the memory API: what it takes, what it gives, and who does it.

Whatever a handler sees has been checked by the pydantic types that the OpenAPI document is made of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import orjson
from aiohttp import web
from multidict import MultiMapping
from pydantic import BaseModel, TypeAdapter, ValidationError

from proxy.errors import BadRequest, EmbedError, JournalError, MethodNotAllowed, OutOfOrder, RequestTooLarge, StoreError
from proxy.web.api.types import FIELD_ERROR, Given
from proxy.web.services import MEMORY, MemoryServices

BASE = "/memory/v1"
JSON = "application/json"
LINES = "application/x-ndjson"
MAX_BODY_BYTES = 16 * 1024 * 1024
IF_MATCH = "If-Match"
IF_NONE_MATCH = "If-None-Match"
IDEMPOTENCY_KEY = "Idempotency-Key"


_SUBJECT = re.compile(r"^(Value error, |(Input|String|List|Value|Dictionary) (?=should ))")
"""Of pydantic's messages; ours begin with the field's name."""

_NAME_CHARS = 100
"""Of an unknown field's name, in the error about it."""


class Nothing(Given):
    """No parameters."""


@dataclass(frozen=True)
class Call:
    """A request as its handler sees it. *path*, *query* and *body* are of the operation's types."""

    request: web.Request
    path: Any = None
    query: Any = None
    body: Any = None
    raw_body: bytes = b""

    @property
    def memory(self) -> MemoryServices:
        return self.request.app[MEMORY]

    def header(self, name: str) -> str | None:
        """As one line, however often it was sent (RFC 9110, 5.3)."""
        values = self.request.headers.getall(name, ())
        return ", ".join(values) if values else None


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Operation:
    """One call.

    *answers*: by status, what is given: a pydantic type; ``None``: what *media* says, or with 304 nothing.
    *errors*: statuses beyond those that any call may have. *headers*: request headers that mean something to it; *gives*: those of
    its answers. *body_media* other than JSON: the handler reads the body itself.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, type[BaseModel] | None]
    tag: str = "memories"
    path_type: type[BaseModel] = Nothing
    query_type: type[BaseModel] = Nothing
    body_type: type[BaseModel] | None = None
    body_media: str = JSON
    media: str = JSON
    errors: tuple[int, ...] = ()
    headers: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    description: str = ""

    @property
    def name(self) -> str:
        """As clients that are made of the document call it."""
        return self.handler.__name__.strip("_")

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Check the request, then do it. Raises ``ProxyError`` alone."""
        call = Call(
            request,
            _read(self._path, dict(request.match_info)),
            _read(self._query, _plain(request.query)),
            *(await self._read_body(request)),
        )
        try:
            return await self.handler(call)
        except (StoreError, EmbedError, JournalError) as exc:
            raise OutOfOrder(f"This can't be done now: {exc}") from exc

    async def _read_body(self, request: web.Request) -> tuple[Any, bytes]:
        if self.body_type is None or self.body_media != JSON:
            return None, b""
        raw = await _read_bytes(request)
        return _read_json(self._body, raw), raw

    @cached_property
    def _path(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.path_type)

    @cached_property
    def _query(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.query_type)

    @cached_property
    def _body(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.body_type or Nothing)


class Path:
    """All calls of one path, by their methods; as a handler, it does the one that is asked for."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._operations = {each.method: each for each in operations}
        if "GET" in self._operations:
            self._operations["HEAD"] = self._operations["GET"]  # the server leaves the body out
        self.methods = frozenset(self._operations)

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        operation = self._operations.get(request.method)
        if operation is None:
            allowed = ", ".join(self._operations)
            raise MethodNotAllowed(f"This path takes {allowed}.", allow=allowed)
        return await operation.run(request)


def route(operations: Iterable[Operation]) -> dict[str, Path]:
    """A handler for each path."""
    by_path: dict[str, list[Operation]] = {}
    for each in operations:
        by_path.setdefault(f"{BASE}{each.path}", []).append(each)
    return {path: Path(each) for path, each in by_path.items()}


# From text to checked values.


def _plain(query: MultiMapping[str]) -> dict[str, str]:
    """Each name once; the last of several would be somebody's surprise."""
    for name in query:
        if len(query.getall(name)) > 1:
            raise BadRequest(f"{name}: is given twice", param=name)
    return dict(query.items())


async def _read_bytes(request: web.Request) -> bytes:
    """The whole body, if it is not so large that parsing it would keep everybody waiting."""
    data = bytearray()
    async for piece in request.content.iter_any():
        data += piece
        if len(data) > MAX_BODY_BYTES:
            raise RequestTooLarge(f"The body has more than {MAX_BODY_BYTES} bytes: send less at a time.")
    return bytes(data)


def _read(adapter: TypeAdapter[Any], values: Mapping[str, str]) -> Any:
    try:
        return adapter.validate_python(values)
    except ValidationError as exc:
        raise bad_request(exc) from None


def _read_json(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    try:
        orjson.loads(raw)  # pydantic's parser takes NaN and half surrogate pairs
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"The body is not JSON: {_place(exc)}") from None
    try:
        return adapter.validate_json(raw, strict=True)
    except ValidationError as exc:
        raise bad_request(exc) from None


def _place(exc: json.JSONDecodeError) -> str:
    return f"{exc.msg.partition(':')[0]} at line {exc.lineno}, column {exc.colno}"


def bad_request(exc: ValidationError, where: str = "") -> BadRequest:
    """The first thing that is wrong, by its name; never its value, which may be what somebody said."""
    first, *others = exc.errors(include_url=False, include_input=False)
    own = (first["ctx"]["name"],) if first["type"] == FIELD_ERROR else ()
    name = _path_of((*first["loc"], *own))
    more = f" ({len(others)} more)" if others else ""
    return BadRequest(f"{where}{name or 'the body'}: {_what(first['type'], first['msg'])}{more}", param=name or None)


def _path_of(loc: Sequence[int | str]) -> str:
    return "".join(f"[{each}]" if isinstance(each, int) else f".{each[:_NAME_CHARS]}" for each in loc).lstrip(".")


def _what(kind: str, message: str) -> str:
    known = {"extra_forbidden": "is unknown here", "missing": "is missing"}
    return known.get(kind, _SUBJECT.sub("", message))


# Answers.


def answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """*value* as JSON; times in UTC with a ``Z``."""
    return web.Response(status=status, body=orjson.dumps(value, option=orjson.OPT_UTC_Z), headers=headers, content_type=JSON)


def list_of(data: Sequence[Any], next_cursor: str | None = None) -> dict[str, Any]:
    return {"object": "list", "data": data, "has_more": next_cursor is not None, "next_cursor": next_cursor}
