"""Export and import: JSON Lines, one memory a line."""

from __future__ import annotations

import base64
import binascii
import math
import uuid
from array import array
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any

import orjson
from aiohttp import web
from pydantic import Field, TypeAdapter, ValidationError

from proxy.core.models import CATEGORY_OF, TURN, TYPE_OF, Owner
from proxy.errors import BadRequest, Conflict
from proxy.memory import clock
from proxy.memory.pace import Pace
from proxy.memory.store import Kept
from proxy.memory.transfer import Transfer, given_to
from proxy.memory.worth import IMPORTANCE_OF
from proxy.web.api.bodies import ExportAsked, ImportAsked, Imported, MemoryRecord
from proxy.web.api.operation import LINES, Call, Operation, answer, bad_request
from proxy.web.api.rendering import render, to_memory

MAX_LINE_BYTES = 1024 * 1024
_ROUNDING = 1e-4


class Line(MemoryRecord):
    """A memory in an export."""

    vector: Annotated[str | None, Field(description="Its vector: float32, little-endian, in base64.", examples=["AACAPw=="])] = (
        None
    )
    vector_model: Annotated[
        str | None, Field(description="The model that made the vector.", examples=["sentence-transformers/all-MiniLM-L6-v2"])
    ] = None


_LINE = TypeAdapter(Line)
_REQUIRED = {name for name, each in Line.model_fields.items() if each.is_required()}
_IDS = uuid.UUID("3c1f4f0a-9a35-4b0c-8f7b-5c3a1f5de2b1")


async def export_memories(call: Call) -> web.StreamResponse:
    """If the store fails in the middle, the connection ends without the answer's end: nobody takes it for whole."""
    query: ExportAsked = call.query
    transfer = call.memory.transfer
    pages = transfer.export(_whose(query), turns=query.turns, vectors=query.vectors)
    first: Sequence[Kept] = await anext(pages, [])  # before the head has left, it can still be an error
    response = web.StreamResponse(headers={"Content-Type": LINES, "Content-Disposition": 'attachment; filename="memories.jsonl"'})
    await response.prepare(call.request)
    if call.request.method == "HEAD":
        return response
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
    transfer = call.memory.transfer
    arrivals, numbers = await _read_all(call)
    if taken := await transfer.taken(arrivals):
        number, id_ = min((numbers[each], each) for each in taken)
        raise Conflict(f"line {number}: id: {id_} is another user's; to copy it, name the user that it goes to", param="id")
    brought = await transfer.bring(arrivals)
    count = brought.created + brought.updated
    return answer({"object": "import", "imported": count, "created": brought.created, "updated": brought.updated})


async def _read_all(call: Call) -> tuple[list[Kept], dict[str, int]]:
    """What the lines bring, and the numbers of the lines by the ids in them."""
    pace, arrivals = Pace(), list[Kept]()
    numbers, owners = dict[str, int](), dict[str, Owner]()
    async for number, line in _numbered(call.request):
        kept = _arrival(number, line, call.query, call.memory.transfer)
        if owners.setdefault(kept.memory.id, kept.owner) != kept.owner:
            raise BadRequest(f"line {number}: id: is that of another user's memory in this import", param="id")
        numbers[kept.memory.id] = number
        arrivals.append(kept)
        await pace.step()
    return arrivals, numbers


async def _numbered(request: web.Request) -> AsyncIterator[tuple[int, bytes]]:
    """The lines that say something, with their numbers, as they arrive."""
    left, size, number = b"", 0, 0
    async for data in request.content.iter_any():
        size += len(data)
        if size > request.client_max_size:
            raise web.HTTPRequestEntityTooLarge(request.client_max_size, size)
        *lines, left = (left + data).split(b"\n")
        for number, line in enumerate(lines, start=number + 1):  # noqa: B020
            if line.strip():
                yield number, line
        if len(left) > MAX_LINE_BYTES:
            raise BadRequest(f"line {number + 1}: has more than {MAX_LINE_BYTES} bytes", param=None)
    if left.strip():
        yield number + 1, left


def _arrival(number: int, line: bytes, query: ImportAsked, transfer: Transfer) -> Kept:
    record = _read(number, line, query)
    memory, owner = to_memory(record), Owner(record.user, record.tenant)
    target = Owner(query.user or owner.user, query.tenant or owner.tenant)
    if memory.scope == "global":
        target = target.everyone
    return Kept(target, memory if target == owner else given_to(owner, target, memory), _vector(number, record, transfer))


def _read(number: int, line: bytes, query: ImportAsked) -> Line:
    try:
        value = orjson.loads(line)
        if isinstance(value, dict) and not value.keys() >= _REQUIRED:
            line = orjson.dumps(_completed(value, query), option=orjson.OPT_UTC_Z)
        return _LINE.validate_json(line, strict=True)
    except orjson.JSONDecodeError as exc:
        raise BadRequest(f"line {number}: is not JSON: {exc.msg.partition(':')[0]}") from None
    except ValidationError as exc:
        raise bad_request(exc, f"line {number}: ") from None


def _completed(value: dict[str, Any], query: ImportAsked) -> dict[str, Any]:
    """What comes from elsewhere may say no more than a content: the rest is as of a memory that is added now.

    Its id follows from what it says, so that the same brought twice is there once.
    """
    value = ({"user": query.user} if query.user is not None else {}) | value
    # Also for what is no text, which is found out later.
    named = str(value.get("type") or TYPE_OF.get(str(value.get("category")), "semantic"))
    created_at = value.get("created_at") or clock.now()
    defaults: dict[str, Any] = {
        "id": str(uuid.uuid5(_IDS, repr([value.get(each) for each in ("tenant", "user", "content", "session")]))),
        "category": "turn" if named == TURN else CATEGORY_OF.get(named, "fact"),
        "type": named,
        "importance": IMPORTANCE_OF.get(named, 0.5),
        "session": None,
        "scope": "user",
        "metadata": {},
        "created_at": created_at,
        "updated_at": created_at,
        "valid_from": created_at,
        "valid_until": None,
        "replaces": None,
        "conflicts": [],
        "access_count": 0,
        "last_accessed_at": None,
        "source": "import",
    }
    return defaults | value


def _vector(number: int, record: Line, transfer: Transfer) -> Sequence[float]:
    """Empty if there is none, or another model made it."""
    if record.vector is None or record.vector_model != transfer.model:
        return ()
    try:
        values = array("f", base64.b64decode(record.vector, validate=True))
    except (binascii.Error, ValueError):
        raise BadRequest(f"line {number}: vector: must be float32 in base64", param="vector") from None
    if len(values) != transfer.dimensions or not math.isclose(math.hypot(*values), 1.0, abs_tol=_ROUNDING):
        raise BadRequest(f"line {number}: vector: must have {transfer.dimensions} dimensions and the length 1", param="vector")
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
        gives=("Content-Disposition",),
        description="In the order of their ids, so that the same memories give the same bytes. Earlier versions are among them.",
    ),
    Operation(
        "POST",
        "/import",
        import_memories,
        "Import memories; every line is checked before the first is stored",
        {200: Imported},
        tag="transfer",
        query_type=ImportAsked,
        body_type=Line,
        body_media=LINES,
        errors=(409,),
        description=(
            "The same imported twice changes nothing. An error names the line, and then nothing has been stored. Secrets are redacted. "
            "Of facts with the same key the one that was set last holds."
        ),
    ),
)
