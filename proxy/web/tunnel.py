"""Requests to change the protocol: WebSockets such as ``/v1/realtime``, and any other.

The handshake goes end to end, subprotocols and extensions included.
When the upstream agrees, both connections are taken from aiohttp and what comes in at one goes out at the other, unread:
there is no frame to parse, no message size to limit, and a close is just bytes.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web
from aiohttp.client_proto import ResponseHandler
from aiohttp.http import WebSocketReader
from aiohttp.web_protocol import RequestHandler

from proxy.core.headers import for_client, render_head, upgrade_wanted
from proxy.errors import UpstreamBroken
from proxy.web.doors import Caller
from proxy.web.passthrough import headers_for_upstream, open_untouched
from proxy.web.relay import relay
from proxy.web.upstream import UpstreamResponse


def wants_tunnel(request: web.Request) -> bool:
    return "Upgrade" in request.headers and upgrade_wanted(request.headers.getall("Connection", ()), request.headers["Upgrade"])


async def tunnel(request: web.Request, caller: Caller) -> web.StreamResponse:
    """Ask the upstream for the other protocol; if it declines, its answer is relayed like any other."""
    headers = headers_for_upstream(request, caller)
    headers += [("Connection", "Upgrade"), ("Upgrade", request.headers["Upgrade"])]
    upstream = await open_untouched(request, headers)
    try:
        if upstream.status != 101:
            return await relay(request, upstream)
        return await _switch(request, upstream)
    finally:
        upstream.close()


async def _switch(request: web.Request, upstream: UpstreamResponse) -> web.StreamResponse:
    here, there = _client_end(request), _upstream_end(upstream)
    here.peer, there.peer = there, here
    await request.writer.write(_head(upstream))
    try:
        there.take_over()
        here.take_over()
        await asyncio.wait((here.closed, there.closed))
    finally:
        here.give_back()
        there.give_back()
    return Tunnelled(here.sent_bytes)


class Tunnelled(web.StreamResponse):
    """For aiohttp, which wants a response back when everything is over."""

    def __init__(self, sent_bytes: int) -> None:
        super().__init__(status=101)
        self.sent_bytes = sent_bytes

    @property
    def keep_alive(self) -> bool:
        return False

    async def prepare(self, request: web.BaseRequest) -> None:
        pass

    async def write_eof(self, data: bytes = b"") -> None:
        pass


def _head(upstream: UpstreamResponse) -> bytes:
    protocols = [header for header in upstream.raw_headers if header[0].lower() == b"upgrade"]
    headers = [
        *for_client(upstream.raw_headers, upstream.headers.getall("Connection", ())),
        (b"Connection", b"Upgrade"),
        *protocols,
    ]
    return render_head(f"HTTP/1.1 101 {upstream.reason}", headers)


class _End(asyncio.Protocol):
    """One of the two connections: what comes in here goes out at the peer, no faster than the peer takes it."""

    peer: _End

    def __init__(self, transport: asyncio.Transport, owner: RequestHandler | ResponseHandler) -> None:
        self.transport = transport
        self.closed = asyncio.get_running_loop().create_future()
        self.sent_bytes = 0
        self._owner = owner
        self._at_eof = False

    def take_over(self) -> None:
        """From here on, what arrives is ours; first, what had arrived together with the handshake."""
        early = _Early()
        if isinstance(self._owner, RequestHandler):
            self._owner.set_parser(cast("WebSocketReader", early))
        else:
            self._owner.read_timeout = None
            self._owner.set_parser(early, None)
        self.transport.set_protocol(self)
        self.data_received(early.data)

    def give_back(self) -> None:
        """Close at once what is still open, and let aiohttp know of the end."""
        if self.closed.done():
            self._owner.connection_lost(None)
        else:
            self.transport.set_protocol(self._owner)
            self.transport.abort()

    def send(self, data: bytes) -> None:
        self.sent_bytes += len(data)
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if data:
            self.peer.send(data)

    def eof_received(self) -> bool:
        """Close the other direction's half too; the connection ends when both are closed."""
        self._at_eof = True
        if self.peer._at_eof or not self.peer.transport.can_write_eof():  # noqa: SLF001
            return False
        self.peer.transport.write_eof()
        return True

    def pause_writing(self) -> None:
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        self.peer.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)
        if exc is None:
            self.peer.transport.close()
        else:
            self.peer.transport.abort()


class _Early:
    """In place of aiohttp's WebSocket parser: keeps the bytes that it is given."""

    data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


def _client_end(request: web.Request) -> _End:
    if request.transport is None:
        raise ConnectionResetError("the client left during the handshake")
    return _End(request.transport, request.protocol)


def _upstream_end(upstream: UpstreamResponse) -> _End:
    connection = upstream.connection
    if connection is None or connection.transport is None:
        raise UpstreamBroken("The upstream hung up while it changed the protocol.")
    return _End(connection.transport, cast("ResponseHandler", connection.protocol))
