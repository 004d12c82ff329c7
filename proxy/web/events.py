"""``GET /memory/v1/events``: a WebSocket with one JSON object for each event.

Nobody is waited for. A listener that doesn't read fills the connection's buffers (128 KiB of ours at most) and its queue
(``memory/events``), and is then sent away with the code 1013; if that doesn't reach it in ``CLOSE_S`` either, its connection is reset.
Pings find out who is no longer there.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import WSCloseCode, web

from proxy.errors import BadRequest
from proxy.memory.events import Listener, Wanted
from proxy.web.services import MEMORY

HEARTBEAT_S = 20.0
"""Between pings; whoever doesn't answer one in half of that is gone."""

CLOSE_S = 2.0
"""For the other side to agree to the end."""

_LARGEST_BYTES = 4096
"""Of what a listener sends, which has nothing to say."""

_BYES = {
    "closing": (WSCloseCode.GOING_AWAY, b"the proxy is stopping"),
    "slow": (WSCloseCode.TRY_AGAIN_LATER, b"too slow: events were left out"),
}


async def tell(request: web.Request, wanted: Wanted, *, heartbeat_s: float = HEARTBEAT_S) -> web.StreamResponse:
    """Until either side ends it. Raises ``BadRequest`` for what is no WebSocket, ``TooBusy``."""
    _check_handshake(request)
    with request.app[MEMORY].events.listening(wanted) as listener:
        socket = web.WebSocketResponse(
            heartbeat=heartbeat_s, autoclose=False, compress=False, max_msg_size=_LARGEST_BYTES, timeout=CLOSE_S
        )
        await socket.prepare(request)
        await _tell(socket, listener)
        await _part(request, socket, listener)
    return socket


def _check_handshake(request: web.Request) -> None:
    if "Sec-WebSocket-Protocol" in request.headers:
        # Some put a key there, and aiohttp would write into the log what it doesn't know.
        raise BadRequest("There is no subprotocol here: leave out Sec-WebSocket-Protocol.")
    if not web.WebSocketResponse().can_prepare(request):
        raise BadRequest("This is a WebSocket: ask for it with Upgrade: websocket.")


async def _tell(socket: web.WebSocketResponse, listener: Listener) -> None:
    """Until there is nothing more to tell, or nobody to tell it to."""
    loop = asyncio.get_running_loop()
    sending, reading = loop.create_task(_send(socket, listener)), loop.create_task(_read(socket))
    ends: list[asyncio.Future[Any]] = [sending, reading, listener.ended]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sending.cancel()
        reading.cancel()
        await asyncio.gather(sending, reading, return_exceptions=True)


async def _send(socket: web.WebSocketResponse, listener: Listener) -> None:
    while True:
        await socket.send_str(orjson.dumps((await listener.next()).as_dict()).decode())


async def _read(socket: web.WebSocketResponse) -> None:
    """What it sends means nothing; that it leaves does."""
    async for _ in socket:
        pass


async def _part(request: web.Request, socket: web.WebSocketResponse, listener: Listener) -> None:
    """Say why it ends, if it is we who end it; and leave no connection behind that nobody reads from."""
    code, why = _BYES[listener.ended.result()] if listener.ended.done() else (WSCloseCode.OK, b"")
    try:
        async with asyncio.timeout(CLOSE_S):
            await socket.close(code=code, message=why)
    except TimeoutError:
        pass
    finally:
        if socket.close_code == WSCloseCode.ABNORMAL_CLOSURE and request.transport is not None:
            request.transport.abort()
