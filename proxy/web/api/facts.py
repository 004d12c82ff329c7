"""Facts that have a name: set and read by programs, carried by the profile into every conversation."""

from __future__ import annotations

from aiohttp import web

from proxy.core.models import Owner
from proxy.web.api.bodies import Deleted, FactChange, FactList, FactRecord, OfKey, Whose
from proxy.web.api.memories import if_match
from proxy.web.api.operation import IF_MATCH, Call, Operation, answer, list_of
from proxy.web.api.rendering import etag, render_fact

_MOST = 1000


async def set_fact(call: Call) -> web.Response:
    body: FactChange = call.body
    owner = _owner(call)
    change = {name: each for name, each in body.model_dump(exclude={"value"}).items() if each is not None}
    check = None if call.header(IF_MATCH) is None else if_match(call)
    memory, is_new = await call.memory.curation.set_fact(owner, call.path.key, body.value.strip(), change, check)
    return answer(render_fact(owner, memory), status=201 if is_new else 200, headers={"ETag": etag(memory)})


async def get_fact(call: Call) -> web.Response:
    owner = _owner(call)
    memory = await call.memory.curation.fact(owner, call.path.key)
    return answer(render_fact(owner, memory), headers={"ETag": etag(memory)})


async def delete_fact(call: Call) -> web.Response:
    memory = await call.memory.curation.delete_fact(_owner(call), call.path.key, if_match(call))
    return answer({"id": memory.id, "object": "fact.deleted", "deleted": True})


async def list_facts(call: Call) -> web.Response:
    owner = _owner(call)
    facts = await call.memory.curation.facts(owner, limit=_MOST)
    return answer(list_of([render_fact(owner, each) for each in facts]))


async def list_fact_versions(call: Call) -> web.Response:
    owner = _owner(call)
    memory = await call.memory.curation.fact(owner, call.path.key)
    versions = await call.memory.curation.history(owner, memory.id)
    return answer(list_of([render_fact(owner, each) for each in versions]))


def _owner(call: Call) -> Owner:
    query: Whose = call.query
    return Owner(query.user, query.tenant)


OPERATIONS = (
    Operation("GET", "/facts", list_facts, "List a user's facts", {200: FactList}, tag="facts", query_type=Whose),
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
        errors=(404, 409, 412),
        headers=(IF_MATCH,),
    ),
    Operation(
        "GET",
        "/facts/{key}",
        get_fact,
        "Get a fact",
        {200: FactRecord},
        tag="facts",
        path_type=OfKey,
        query_type=Whose,
        errors=(404,),
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
