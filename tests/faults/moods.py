"""What servers do that are not well: each of these makes of a good *answer* what the client gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

Mood = Callable[[web.Request, web.Response], Awaitable[web.StreamResponse]]


async def well(_: web.Request, answer: web.Response) -> web.StreamResponse:
    return answer


async def hung(_: web.Request, answer: web.Response) -> web.StreamResponse:
    await asyncio.Event().wait()
    return answer


async def slow(_: web.Request, answer: web.Response) -> web.StreamResponse:
    """Slower than recall's deadline, faster than a call's."""
    await asyncio.sleep(0.5)
    return answer


async def failing(_: web.Request, answer: web.Response) -> web.StreamResponse:
    return web.json_response({"status": {"error": "Service internal error: out of memory"}, "time": 0.0}, status=500)


async def shedding(_: web.Request, answer: web.Response) -> web.StreamResponse:
    return web.Response(status=429, headers={"Retry-After": "3600"})


async def somebody_else(_: web.Request, answer: web.Response) -> web.StreamResponse:
    return web.Response(text="<html><h1>It works!</h1></html>", content_type="text/html")


async def raving(_: web.Request, answer: web.Response) -> web.StreamResponse:
    """JSON, and never what was asked for."""
    return web.json_response(
        {"result": [17, {"points": {"id": []}}], "data": [{"embedding": {}}, None], "status": "ok", "time": 0.0}
    )


async def torn(request: web.Request, answer: web.Response) -> web.StreamResponse:
    """The first half of its answer."""
    assert request.transport is not None
    assert isinstance(answer.body, bytes)
    half = answer.body[: len(answer.body) // 2]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer.body)
    request.transport.write(head + half)
    request.transport.close()
    return answer


ILL = [failing, shedding, somebody_else, raving, torn, hung, slow]
