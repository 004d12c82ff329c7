"""Facts that have a name: set and read by programs, carried by the profile into every conversation."""

from __future__ import annotations

from aiohttp import web

from proxy.core.models import Owner
from proxy.web.api.bodies import Deleted, FactChange, FactList, FactRecord, FactsAsked, OfKey, Whose
from proxy.web.api.operation import IF_MATCH, IF_NONE_MATCH, Call, Operation, answer, list_of
from proxy.web.api.preconditions import not_modified, precondition
from proxy.web.api.rendering import etag, render_fact
from proxy.web.api.types import to_key_cursor


async def set_fact(call: Call) -> web.Response:
    body: FactChange = call.body
    owner = _owner(call)
    change = {name: each for name, each in body.model_dump(exclude={"value"}).items() if each is not None}
    memory, is_new = await call.memory.curation.set_fact(owner, call.path.key, body.value, change, precondition(call))
    return answer(render_fact(owner, memory), status=201 if is_new else 200, headers={"ETag": etag(memory)})


async def get_fact(call: Call) -> web.Response:
    owner = _owner(call)
    memory = await call.memory.curation.fact(owner, call.path.key)
    return not_modified(call, memory) or answer(render_fact(owner, memory), headers={"ETag": etag(memory)})


async def delete_fact(call: Call) -> web.Response:
    memory = await call.memory.curation.delete_fact(_owner(call), call.path.key, precondition(call))
    return answer({"id": memory.id, "object": "fact.deleted", "deleted": True})


async def list_facts(call: Call) -> web.Response:
    query: FactsAsked = call.query
    owner = _owner(call)
    facts = [each for each in await call.memory.curation.facts(owner) if query.cursor is None or (each.key or "") > query.cursor]
    page = facts[: query.limit]
    cursor = to_key_cursor(page[-1].key or "") if len(facts) > len(page) else None
    return answer(list_of([render_fact(owner, each) for each in page], cursor))


async def list_fact_versions(call: Call) -> web.Response:
    owner = _owner(call)
    versions = await call.memory.curation.fact_history(owner, call.path.key)
    return answer(list_of([render_fact(owner, each) for each in versions]))


def _owner(call: Call) -> Owner:
    query: Whose = call.query
    return Owner(query.user, query.tenant)


OPERATIONS = (
    Operation(
        "GET",
        "/facts",
        list_facts,
        "List a user's facts, by their keys",
        {200: FactList},
        tag="facts",
        query_type=FactsAsked,
        description="What they say now. The profile carries them into every conversation.",
    ),
    Operation(
        "PUT",
        "/facts/{key}",
        set_fact,
        "Set a fact; what it said before stays in its history",
        {200: FactRecord, 201: FactRecord},
        tag="facts",
        path_type=OfKey,
        query_type=Whose,
        body_type=FactChange,
        errors=(409, 412),
        headers=(IF_MATCH, IF_NONE_MATCH),
        gives=("ETag",),
        description="With `If-None-Match: *` only if there is none of this key, with `If-Match` only if there is one.",
    ),
    Operation(
        "GET",
        "/facts/{key}",
        get_fact,
        "Get a fact",
        {200: FactRecord, 304: None},
        tag="facts",
        path_type=OfKey,
        query_type=Whose,
        errors=(404,),
        headers=(IF_NONE_MATCH,),
        gives=("ETag",),
    ),
    Operation(
        "DELETE",
        "/facts/{key}",
        delete_fact,
        "Delete a fact and its history",
        {200: Deleted},
        tag="facts",
        path_type=OfKey,
        query_type=Whose,
        errors=(404, 412),
        headers=(IF_MATCH,),
    ),
    Operation(
        "GET",
        "/facts/{key}/history",
        list_fact_versions,
        "List what a fact said before, the latest first",
        {200: FactList},
        tag="facts",
        path_type=OfKey,
        query_type=Whose,
        errors=(404,),
    ),
)
