"""Memories: add, list, look at, correct, take out, and search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from proxy.core.models import MEMORY_TYPES, TURN, Memory, Owner
from proxy.errors import BadRequest, NotFound
from proxy.memory.curation import Draft, Request, request_of
from proxy.memory.listing import page
from proxy.memory.searching import Search
from proxy.memory.store import Query, Which
from proxy.web.api.bodies import (
    AnyOwner,
    Deleted,
    FoundList,
    MemoriesAsked,
    MemoryChange,
    MemoryList,
    MemoryRecord,
    NewMemories,
    NewMemory,
    OfId,
    SearchAsked,
)
from proxy.web.api.operation import BASE, IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, Call, Operation, answer, list_of
from proxy.web.api.preconditions import not_modified, precondition
from proxy.web.api.rendering import etag, render, render_all, render_found
from proxy.web.api.types import to_cursor, type_of, types_of

_MAX_KEY_CHARS = 255


async def add_memory(call: Call) -> web.Response:
    body: NewMemory = call.body
    [memory] = await call.memory.curation.add([_draft(body)], _request(call))
    owner = _owner(body)
    headers = {"ETag": etag(memory), "Location": f"{BASE}/memories/{memory.id}"}
    return answer(render(owner, memory), status=201, headers=headers)


async def add_memories(call: Call) -> web.Response:
    body: NewMemories = call.body
    added = await call.memory.curation.add([_draft(each) for each in body.memories], _request(call))
    data = [render(_owner(each), memory) for each, memory in zip(body.memories, added, strict=True)]
    return answer(list_of(data), status=201)


async def list_memories(call: Call) -> web.Response:
    query: MemoriesAsked = call.query
    owner = Owner(query.user, query.tenant)
    if query.scope == "global":
        owner = owner.everyone
    which = Which(
        types=_types(query),
        session=query.session,
        past=query.past,
        since=query.since,
        until=query.until,
        as_of=query.as_of,
        min_importance=query.min_importance,
    )
    found = await page(call.memory.store, owner, which, limit=query.limit, after=query.cursor)
    return answer(list_of(render_all(owner, found.memories), to_cursor(found.end) if found.end else None))


async def get_memory(call: Call) -> web.Response:
    owner, memory = await _readable(call)
    return not_modified(call, memory) or answer(render(owner, memory), headers={"ETag": etag(memory)})


async def edit_memory(call: Call) -> web.Response:
    body: MemoryChange = call.body
    owner, memory = await _one(call)
    memory = await call.memory.curation.edit(owner, memory.id, _change(body), precondition(call))
    return answer(render(owner, memory), headers={"ETag": etag(memory)})


async def delete_memory(call: Call) -> web.Response:
    owner, memory = await _one(call)
    await call.memory.curation.delete(owner, memory.id, precondition(call))
    return answer({"id": memory.id, "object": "memory.deleted", "deleted": True})


async def list_versions(call: Call) -> web.Response:
    owner, memory = await _readable(call)
    return answer(list_of(render_all(owner, await call.memory.curation.history(owner, memory.id))))


async def search_memories(call: Call) -> web.Response:
    body: SearchAsked = call.body
    owner = Owner(body.user, body.tenant)
    types = MEMORY_TYPES if body.categories is None else types_of(body.categories)
    filters = Query(
        "",
        None,
        session=body.session,
        as_of=body.as_of,
        turns=body.turns or TURN in types,
        types=tuple(each for each in types if each != TURN),
        since=body.since,
        until=body.until,
        min_importance=body.min_importance,
    )
    queries = [(each.query.strip(), each.weight) for each in body.asked]
    search = Search(queries, filters, body.aggregate, body.min_score, body.limit)
    return answer(list_of(render_found(owner, await call.memory.searching.search(owner, search))))


async def _one(call: Call) -> tuple[Owner, Memory]:
    """The memory that the path names, and whose it is; one of another owner than the query names is not there."""
    return await _of(call, call.query.user)


async def _readable(call: Call) -> tuple[Owner, Memory]:
    """As well one that all users of the tenant share: each of them may read it, but it is nobody's to change."""
    return await _of(call, call.query.user, "")


async def _of(call: Call, *users: str | None) -> tuple[Owner, Memory]:
    path: OfId = call.path
    query: AnyOwner = call.query
    owner = await call.memory.curation.owner_of(path.id)
    if (query.user is not None and owner.user not in users) or query.tenant not in (None, owner.tenant):
        raise NotFound(f"There is no memory {path.id[:64]!r} of this user.", param="id")
    return owner, await call.memory.curation.get(owner, path.id)


def _request(call: Call) -> Request | None:
    key = call.header(IDEMPOTENCY_KEY)
    if key is None:
        return None
    if not 0 < len(key) <= _MAX_KEY_CHARS:
        raise BadRequest(f"{IDEMPOTENCY_KEY}: must have 1 to {_MAX_KEY_CHARS} characters", param=IDEMPOTENCY_KEY)
    return request_of(key, call.raw_body)


def _owner(body: NewMemory) -> Owner:
    owner = Owner(body.user, body.tenant)
    return owner.everyone if body.scope == "global" else owner


def _draft(body: NewMemory) -> tuple[Owner, Draft]:
    draft = Draft(
        body.content,
        type=type_of(body.category, body.type),
        importance=body.importance,
        scope=body.scope,
        session=body.session,
        metadata=body.metadata,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        created_at=body.created_at,
    )
    return _owner(body), draft


def _change(body: MemoryChange) -> Mapping[str, Any]:
    change = body.model_dump(exclude_unset=True)
    category, type_ = change.pop("category", None), change.pop("type", None)
    return change | ({"type": type_of(category, type_)} if category or type_ else {})


def _types(query: MemoriesAsked) -> tuple[str, ...]:
    named = [*(query.categories or []), *([query.category] if query.category else [])]
    types = types_of(named) if named else MEMORY_TYPES
    return (*types, TURN) if query.turns and TURN not in types else types


OPERATIONS = (
    Operation(
        "POST",
        "/memories",
        add_memory,
        "Add a memory",
        {201: MemoryRecord},
        body_type=NewMemory,
        errors=(409,),
        headers=(IDEMPOTENCY_KEY,),
        gives=("ETag", "Location"),
        description="What is known already, and alike in all but its importance, is not added again: it gains weight, and is given.",
    ),
    Operation(
        "POST",
        "/memories/batch",
        add_memories,
        "Add up to 1000 memories",
        {201: MemoryList},
        body_type=NewMemories,
        errors=(409,),
        headers=(IDEMPOTENCY_KEY,),
        description="All or, if one is wrong, none. The answer has them in their order; see `POST /memories` for what is known already.",
    ),
    Operation(
        "GET",
        "/memories",
        list_memories,
        "List a user's memories, newest first",
        {200: MemoryList},
        query_type=MemoriesAsked,
        description="Pages stay right while memories are added, edited and deleted: nothing comes twice, and nothing is left out.",
    ),
    Operation(
        "GET",
        "/memories/{id}",
        get_memory,
        "Get a memory",
        {200: MemoryRecord, 304: None},
        path_type=OfId,
        query_type=AnyOwner,
        errors=(404,),
        headers=(IF_NONE_MATCH,),
        gives=("ETag",),
        description="Earlier versions and messages have ids, too.",
    ),
    Operation(
        "PATCH",
        "/memories/{id}",
        edit_memory,
        "Edit a memory; what it was stays in its history",
        {200: MemoryRecord},
        path_type=OfId,
        query_type=AnyOwner,
        body_type=MemoryChange,
        errors=(404, 409, 412),
        headers=(IF_MATCH,),
        gives=("ETag",),
        description=(
            "A new content begins to hold now, or at `valid_from`, and is found by its meaning at once; messages that said the old one "
            "are recalled no more. Any other change corrects the record, as if it had always been so."
        ),
    ),
    Operation(
        "DELETE",
        "/memories/{id}",
        delete_memory,
        "Delete a memory, its history, and the messages that said it",
        {200: Deleted},
        path_type=OfId,
        query_type=AnyOwner,
        errors=(404, 412),
        headers=(IF_MATCH,),
        description="Nobody finds them from now on; their text leaves the embedded store's files within ten minutes.",
    ),
    Operation(
        "GET",
        "/memories/{id}/history",
        list_versions,
        "List a memory's earlier versions, the latest first",
        {200: MemoryList},
        path_type=OfId,
        query_type=AnyOwner,
        errors=(404,),
    ),
    Operation(
        "POST",
        "/search",
        search_memories,
        "Search a user's memories",
        {200: FoundList},
        body_type=SearchAsked,
        tag="search",
        description=(
            "By meaning and by words, as chats do; what all users of the tenant share is found, too. While the embedder is out of order "
            "by words alone (`scores.dense` is then null)."
        ),
    ),
)
