"""The hot path: one chat completion, from the client to the upstream and back.

1 who asks, and what may memory do  2 what goes upstream (``memory/plan``)  3 open  4 choose the filter, once
5 relay through it, each block noted before what follows it leaves  6 hand the whole over to be remembered
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from aiohttp import web

from proxy.core.filters import choose_filter
from proxy.core.identity import IdentityError, Mode
from proxy.core.transcript import Recorded
from proxy.errors import BadRequest
from proxy.memory.plan import Plan
from proxy.web.doors import Caller
from proxy.web.passage import passage_of
from proxy.web.passthrough import headers_for_upstream, passthrough
from proxy.web.relay import RelayedResponse, relay
from proxy.web.services import MEMORY, SERVICES
from proxy.web.upstream import UpstreamResponse

# The body may have grown, and an answer that is to be read must not come compressed.
_REPLACED = frozenset({"content-length", "accept-encoding"})


async def chat(request: web.Request, caller: Caller) -> web.StreamResponse:
    """A chat completion with memory, as far as its headers and its *caller*'s key allow.

    Raises ``BadRequest`` for a header that makes no sense, ``Forbidden`` for a mode that is not the caller's to choose.
    """
    try:
        mode = caller.mode(request.headers)
        if mode is Mode.OFF:
            return await passthrough(request, caller, [(b"X-Memory-Status", b"off")])
        plan = await _plan(request, caller, mode)
    except IdentityError as exc:
        raise BadRequest(str(exc), param=exc.source) from exc
    upstream = await _open(request, caller, plan)
    filter_ = choose_filter(upstream.status, upstream.content_type, upstream.headers.get("Content-Encoding", ""), plan.answer)
    return await _answer(request, plan, upstream, Recorded(filter_))


async def _plan(request: web.Request, caller: Caller, mode: Mode) -> Plan:
    memory, body, passage = request.app[MEMORY], await _body(request), passage_of(request)
    with passage.ours():
        plan = passage.plan = await memory.planner.plan(request.headers, mode, body, tenant=caller.tenant)
        memory.chronicle.planned(plan)
    return plan


async def _body(request: web.Request) -> bytes:
    """All of it; a length that is too large is refused before anything of it is read."""
    if (request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, request.content_length or 0)
    return await request.read()


async def _open(request: web.Request, caller: Caller, plan: Plan) -> UpstreamResponse:
    services = request.app[SERVICES]
    destination = services.routes.choose(request.raw_path, plan.model)
    passage_of(request).upstream = destination.name
    replaced = _REPLACED if plan.answer is not None else frozenset({"content-length"})
    headers = headers_for_upstream(request, caller, drop=replaced)
    if plan.answer is not None:
        headers.append(("Accept-Encoding", "identity"))
    return await services.upstreams.open(request.method, destination.url, headers, plan.body, upstream=destination.name)


async def _answer(request: web.Request, plan: Plan, upstream: UpstreamResponse, filter_: Recorded) -> RelayedResponse:
    memory, passage = request.app[MEMORY], passage_of(request)
    passage.blocks = filter_.blocks
    said = plan.said(filter_.blocks, filter_.reply) if upstream.status == HTTPStatus.OK else None

    async def note() -> None:
        if said is not None:
            with passage.ours():
                await memory.remember.note(said)

    def keep() -> None:
        if said is not None:
            memory.remember.submit(said)

    report = [(name.encode(), value.encode()) for name, value in plan.report.items()]
    try:
        response = await relay(request, upstream, filter_, report, note)
    except (ConnectionError, asyncio.CancelledError):
        if filter_.in_block:
            memory.drain.adopt(upstream, filter_, keep, note)
        else:
            upstream.close()
            keep()
        raise
    except BaseException:
        upstream.close()
        raise
    if filter_.client_done and not upstream.ended:
        memory.drain.adopt(upstream, filter_, keep, note)
    else:
        upstream.close()
        keep()
    return response
