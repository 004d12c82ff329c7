"""What chats recalled, and what became of their answers; and events, as they happen."""

from __future__ import annotations

from typing import Annotated, Any

from aiohttp import web
from pydantic import BeforeValidator, Field

from proxy.errors import NotFound
from proxy.memory.events import EVENT_TYPES, EventType, Wanted
from proxy.web.api.bodies import DEFAULT_TENANT
from proxy.web.api.operation import Call, Operation, answer
from proxy.web.api.types import Answer, Given, Tenant, User, listed
from proxy.web.events import tell


class OfTrace(Given):
    id: Annotated[
        str, Field(description="The chat's `X-Memory-Trace`.", examples=["9f3c2b7d5e1a4c60b8a1d2e3f4a5b6c7"], min_length=1)
    ]


class TracesAsked(Given):
    """Whose traces."""

    user: Annotated[User | None, Field(description="Those of this user.")] = None
    tenant: Annotated[Tenant | None, Field(description="Those of this tenant; of a user `default` without it.")] = None
    limit: Annotated[int, Field(description="How many at most.", examples=[50], ge=1, le=1000)] = 50


class EventsAsked(Given):
    """Which events."""

    user: Annotated[User | None, Field(description="Those of this user.")] = None
    tenant: Annotated[Tenant | None, Field(description="Those of this tenant; of a user `default` without it.")] = None
    types: Annotated[
        list[EventType],
        BeforeValidator(listed),
        Field(
            description="Only these.", examples=[["stored", "forgotten"]], min_length=1, default_factory=lambda: [*EVENT_TYPES]
        ),
    ]


class TraceRecord(Answer):
    """One chat. Texts are null unless `traces.content` is set. docs/traces-and-events.md describes every part."""

    id: Annotated[str, Field(description="The chat's `X-Memory-Trace`.", examples=["9f3c2b7d5e1a4c60b8a1d2e3f4a5b6c7"])]
    object: Annotated[str, Field(description="What this is.", examples=["trace"])]
    at: Annotated[str, Field(description="When.", examples=["2026-03-01T12:00:00.000000Z"])]
    user: Annotated[str | None, Field(description="Whose chat it was.", examples=["ada"])]
    tenant: Annotated[str | None, Field(description="The user's tenant.", examples=["default"])]
    model: Annotated[str | None, Field(description="The model that was asked for.", examples=["gpt-4o-mini"])]
    status: Annotated[str, Field(description="As in `X-Memory-Status`.", examples=["ok"])]
    extract: Annotated[str, Field(description="As in `X-Memory-Extract`.", examples=["inline"])]
    recall: Annotated[
        dict[str, Any] | None,
        Field(
            description="What was looked for, found, left out and why, injected; tokens and seconds.", examples=[{"again": False}]
        ),
    ]
    answer: Annotated[
        dict[str, Any], Field(description="What the answer told, and what became of each item.", examples=[{"state": "done"}])
    ]


class TraceList(Answer):
    """Traces, newest first."""

    object: Annotated[str, Field(description="What this is.", examples=["list"])]
    data: Annotated[list[TraceRecord], Field(description="The traces.")]
    has_more: Annotated[bool, Field(description="Whether there are more: ask with a larger limit.", examples=[False])]
    next_cursor: Annotated[None, Field(description="Always null.", examples=[None])]


async def get_trace(call: Call) -> web.Response:
    """For one that there never was, or that is too old, or was forgotten: ``NotFound``."""
    trace = call.memory.traces.get(call.path.id)
    if trace is None:
        raise NotFound("There is no such trace: they are kept for traces.keep_s, and not beyond a restart.", param="id")
    return answer(trace.as_dict())


async def list_traces(call: Call) -> web.Response:
    query: TracesAsked = call.query
    found = call.memory.traces.latest(user=query.user, tenant=_tenant(query), limit=query.limit + 1)
    data = [each.as_dict() for each in found[: query.limit]]
    return answer({"object": "list", "data": data, "has_more": len(found) > query.limit, "next_cursor": None})


async def listen(call: Call) -> web.StreamResponse:
    query: EventsAsked = call.query
    return await tell(call.request, Wanted(query.user, _tenant(query), frozenset(query.types)))


def _tenant(query: TracesAsked | EventsAsked) -> str | None:
    return DEFAULT_TENANT if query.tenant is None and query.user is not None else query.tenant


OPERATIONS = (
    Operation(
        "GET", "/traces", list_traces, "List the latest chats' traces", {200: TraceList}, tag="traces", query_type=TracesAsked
    ),
    Operation(
        "GET", "/traces/{id}", get_trace, "Get a chat's trace", {200: TraceRecord}, tag="traces", path_type=OfTrace, errors=(404,)
    ),
    Operation(
        "GET",
        "/events",
        listen,
        "Listen to what happens, over a WebSocket: a JSON object for each event",
        {101: None},
        tag="traces",
        query_type=EventsAsked,
    ),
)
