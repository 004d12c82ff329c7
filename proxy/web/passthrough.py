"""Everything that is not ours: sent on and answered unread."""

from __future__ import annotations

from collections.abc import Set

from aiohttp import web

from proxy.core.headers import RawHeaders, for_upstream
from proxy.core.routing import Destination, Routes, model_of
from proxy.web.doors import Caller, Headers
from proxy.web.exchange import Body
from proxy.web.passage import passage_of
from proxy.web.relay import relay
from proxy.web.services import SERVICES
from proxy.web.upstream import UpstreamResponse

# A body of at most this many bytes is read before it is sent, so that it could be sent again over a new connection.
_READ_AT_ONCE = 64 * 1024


async def passthrough(request: web.Request, caller: Caller, extra_headers: RawHeaders = ()) -> web.StreamResponse:
    """Relay any request to its upstream, and the answer to the client, byte for byte; *extra_headers* are added to it."""
    upstream = await open_untouched(request, headers_for_upstream(request, caller))
    try:
        return await relay(request, upstream, extra_headers=extra_headers)
    finally:
        upstream.close()


def headers_for_upstream(request: web.Request, caller: Caller, *, drop: Set[str] = frozenset()) -> Headers:
    """What of the headers goes upstream, but for *drop* (lower case); the key is the one that the upstream is to see."""
    headers = for_upstream(request.headers.items(), request.headers.getall("Connection", ()), drop=drop)
    return caller.with_upstream_key(headers)


async def open_untouched(request: web.Request, headers: Headers) -> UpstreamResponse:
    """Send *request* on as it is, but for its headers."""
    services = request.app[SERVICES]
    body = await _body(request, services.routes)
    destination = _destination(request, services.routes, body)
    passage_of(request).upstream = destination.name
    return await services.upstreams.open(request.method, destination.url, headers, body, upstream=destination.name)


async def _body(request: web.Request, routes: Routes) -> Body:
    if not request.body_exists:
        return None
    length = request.content_length
    if (length is not None and length <= _READ_AT_ONCE) or _names_a_model(request, routes):
        return request.content.read_nowait() if request.content.is_eof() else await request.read()
    return request.content.iter_any()


def _names_a_model(request: web.Request, routes: Routes) -> bool:
    """Whether the upstream depends on what is in the body."""
    return (
        routes.reads_models
        and request.method == "POST"
        and request.content_type == "application/json"
        and routes.by_path(request.raw_path) is None
    )


def _destination(request: web.Request, routes: Routes, body: Body) -> Destination:
    model = model_of(body) if isinstance(body, bytes) and _names_a_model(request, routes) else None
    return routes.choose(request.raw_path, model)
