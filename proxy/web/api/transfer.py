"""Export and import: JSON Lines, one memory a line."""

from __future__ import annotations

import asyncio
import base64
import binascii
from array import array
from collections.abc import Sequence
from typing import Annotated

import orjson
from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from proxy.core.models import Owner
from proxy.errors import BadRequest
from proxy.memory.store import Kept
from proxy.memory.transfer import given_to
from proxy.web.api.bodies import ExportAsked, ImportAsked, Imported, MemoryRecord
from proxy.web.api.operation import LINES, Call, Operation, answer, bad_request
from proxy.web.api.rendering import render, to_memory

_BREATH = 200


class Line(MemoryRecord):
    """A memory in an export."""

    vector: Annotated[str | None, Field(description="Its vector: float32, little-endian, in base64.", examples=["AACAPw=="])] = (
        None
    )
    vector_model: Annotated[
        str | None, Field(description="The model that made the vector.", examples=["sentence-transformers/all-MiniLM-L6-v2"])
    ] = None


_LINE = TypeAdapter(Line)


async def export_memories(call: Call) -> web.StreamResponse:
    """If the store fails in the middle, the connection ends without the answer's end: nobody takes it for whole."""
    query: ExportAsked = call.query
    transfer = call.memory.transfer
    pages = transfer.export(_whose(query), turns=query.turns, vectors=query.vectors)
    first: Sequence[Kept] = await anext(pages, [])  # before the head has left, it can still be an error
    response = web.StreamResponse(headers={"Content-Type": LINES, "Content-Disposition": 'attachment; filename="memories.jsonl"'})
    await response.prepare(call.request)
    model = transfer.model if query.vectors else None
    await response.write(_lines(first, model))
    async for page in pages:
        await response.write(_lines(page, model))
    await response.write_eof()
    return response


def _whose(query: ExportAsked) -> Owner | str | None:
    if query.all:
        return None
    return query.tenant if query.user is None else Owner(query.user, query.tenant)


def _lines(page: Sequence[Kept], model: str | None) -> bytes:
    return b"".join(orjson.dumps(_line(each, model), option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for each in page)


def _line(kept: Kept, model: str | None) -> dict[str, object]:
    line = render(kept.owner, kept.memory)
    if model is not None:
        line["vector"], line["vector_model"] = base64.b64encode(array("f", kept.vector).tobytes()).decode(), model
    return line


async def import_memories(call: Call) -> web.Response:
    query: ImportAsked = call.query
    arrivals: list[Kept] = []
    for number, line in enumerate(call.raw_body.splitlines(), start=1):
        if number % _BREATH == 0:
            await asyncio.sleep(0)  # a megabyte of lines takes some tens of milliseconds, and others wait for the loop
        if line.strip():
            arrivals.append(_arrival(number, line, query, call.memory.transfer.model))
    brought = await call.memory.transfer.bring(arrivals)
    count = brought.created + brought.updated
    return answer({"object": "import", "imported": count, "created": brought.created, "updated": brought.updated})


def _arrival(number: int, line: bytes, query: ImportAsked, model: str) -> Kept:
    record = _read(number, line)
    memory, owner = to_memory(record), _owner(number, record)
    target = Owner(query.user or owner.user, query.tenant or owner.tenant)
    if memory.scope == "global":
        target = target.everyone
    return Kept(target, memory if target == owner else given_to(target, memory), _vector(number, record, model))


def _read(number: int, line: bytes) -> Line:
    try:
        orjson.loads(line)
        return _LINE.validate_json(line, strict=True)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"line {number}: is not JSON: {exc.msg}", param=f"line {number}") from None
    except ValidationError as exc:
        raise bad_request(exc, f"line {number}: ") from None


def _owner(number: int, record: Line) -> Owner:
    if (record.scope == "global") != (not record.user):
        raise BadRequest(f"line {number}: user: only what is for all users of a tenant has an empty one", param="user")
    return Owner(record.user, record.tenant)


def _vector(number: int, record: Line, model: str) -> Sequence[float]:
    """Empty if there is none, or another model made it."""
    if record.vector is None or record.vector_model != model:
        return ()
    try:
        values = array("f", base64.b64decode(record.vector, validate=True))
    except (binascii.Error, ValueError):
        raise BadRequest(f"line {number}: vector: must be float32 in base64", param="vector") from None
    return values


OPERATIONS = (
    Operation(
        "GET",
        "/export",
        export_memories,
        "Export memories as JSON Lines",
        {200: Line},
        tag="transfer",
        query_type=ExportAsked,
        media=LINES,
    ),
    Operation(
        "POST",
        "/import",
        import_memories,
        "Import memories; every line is checked before the first is stored",
        {200: Imported},
        tag="transfer",
        query_type=ImportAsked,
        body_type=None,
        body_media=LINES,
        errors=(409,),
    ),
)
