"""Upstream response → filter → client response, one write for one read.

aiohttp's own ``StreamResponse`` sends the head in one packet, each piece of the body in another and the end in a third,
and knows headers as text only.
``RelayedResponse`` sends what is there in one: the head with the first bytes, the last bytes with the terminator
(openai/openai-python#3440), and headers as the bytes that came.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Awaitable, Callable
from time import perf_counter

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

from proxy.core.filters import Filter, Passthrough
from proxy.core.headers import RawHeaders, for_client, render_head
from proxy.errors import ProxyError
from proxy.web.passage import Hold, passage_of
from proxy.web.upstream import UpstreamResponse

_BODILESS_STATUSES = frozenset({204, 304})
_LENGTH = frozenset({b"content-length"})
# Of a body that is rewritten these would say what is not true (RFC 9530, RFC 9110 section 8.8.3).
_ABOUT_THE_BYTES = _LENGTH | {b"content-md5", b"digest", b"content-digest", b"repr-digest", b"etag"}
_LAST_CHUNK = b"0\r\n\r\n"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

OnBlock = Callable[[], Awaitable[None]]
"""Called and waited for when a filter has found another block, before anything that follows the block leaves."""


async def ignore_block() -> None: ...


class RelayedResponse(web.StreamResponse):
    """A response whose head is the upstream's, and that can end in a way which nobody takes for the end.

    ``length`` is the body's if it is known before the first byte leaves; else it is sent in chunks or, to a client
    of HTTP/1.0, until the connection ends.
    """

    def __init__(
        self, request: web.BaseRequest, *, status: int, reason: str, headers: RawHeaders, has_body: bool, length_known: bool
    ) -> None:
        super().__init__(status=status, reason=reason)
        is_http11 = request.version >= HttpVersion11
        self.sent_bytes = 0
        self.broken_off = False
        self._request = request
        self._passage = passage_of(request)
        self._in_chunks = has_body and not length_known and is_http11
        self._until_close = has_body and not length_known and not is_http11
        self._stays_open = request.keep_alive and not self._until_close
        start_line = f"HTTP/{request.version[0]}.{request.version[1]} {status} {reason}"
        self._head = render_head(start_line, [*headers, *self._framing(is_http11)])

    def _framing(self, is_http11: bool) -> RawHeaders:
        """The headers of this connection, which end where it does."""
        framing = [(b"Transfer-Encoding", b"chunked")] if self._in_chunks else []
        if self._stays_open != is_http11:
            framing.append((b"Connection", b"keep-alive" if self._stays_open else b"close"))
        return framing

    @property
    def prepared(self) -> bool:
        """Whether the head has left, so that no other answer can be given."""
        return not self._head

    @property
    def keep_alive(self) -> bool:
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002
        """For aiohttp, which asks once more when the handler is done."""
        return None

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, and the head before it if that is still here. Waits while the client reads too slowly."""
        await self._send(self._framed(bytes(data)))

    async def write_eof(self, data: bytes = b"") -> None:
        """Send *data* and the end of the body in one; later calls, such as aiohttp's own, do nothing."""
        if self._eof_sent:
            return
        self._eof_sent = True
        framed = self._framed(data)
        await self._send(framed + _LAST_CHUNK if self._in_chunks else framed)

    def break_off(self) -> None:
        """End the connection without ending the body; what was written still leaves."""
        self._eof_sent = self.broken_off = True
        self._stays_open = False
        transport = self._request.transport
        if transport is None:
            return
        if self._until_close:
            # To this client the end of the connection is the end of the body: only a reset says otherwise.
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.close()

    def _framed(self, data: bytes) -> bytes:
        if data and not self.sent_bytes:
            self._passage.first_byte = perf_counter()
        self.sent_bytes += len(data)
        return b"%x\r\n%b\r\n" % (len(data), data) if self._in_chunks and data else data

    async def _send(self, framed: bytes) -> None:
        if self._head:
            self._head, framed = b"", self._head + framed
        if framed:
            await self._request.writer.write(framed)


async def relay(
    request: web.BaseRequest,
    upstream: UpstreamResponse,
    filter_: Filter | None = None,
    extra_headers: RawHeaders = (),
    on_block: OnBlock = ignore_block,
) -> RelayedResponse:
    """Send the client what *upstream* answers, through *filter_*, as it arrives.

    A filter whose ``whole`` is true is sent only when it has finished, with its length.
    Once the filter says that the client has all, the answer ends, whatever upstream still sends.
    Where upstream breaks off, the client's connection does; before anything was sent, that is ``UpstreamBroken``.
    Leaves *upstream* open: when the client is gone (``ConnectionError``, ``CancelledError``) the caller may want its rest.
    """
    filter_ = filter_ or Passthrough()
    passage = passage_of(request)
    passage.streams = upstream.content_type == "text/event-stream"
    if filter_.whole:
        return await _relay_whole(request, upstream, filter_, extra_headers, on_block)
    response = _answer(request, upstream, extra_headers, untouched=not filter_.rewrites)
    hold = Hold()
    if filter_.rewrites:
        passage.hold = hold
    try:
        await _pump(upstream, filter_, response, on_block, hold)
    finally:
        hold.turn(False)
    return response


async def _pump(upstream: UpstreamResponse, filter_: Filter, response: RelayedResponse, on_block: OnBlock, hold: Hold) -> None:
    data = upstream.buffered()
    known, blocks = 0, filter_.blocks
    try:
        while not upstream.ended:
            out = filter_.feed(data)
            if filter_.holds is not hold.on:
                hold.turn(filter_.holds)
            if len(blocks) != known:
                known = len(blocks)
                await on_block()
            if filter_.client_done:
                await response.write_eof(out)
                return
            await response.write(out)
            data = await upstream.read()
    except ProxyError:
        await response.write(filter_.finish())
        response.break_off()
    else:
        out = filter_.feed(data) + filter_.finish()
        if len(blocks) != known:
            await on_block()
        await response.write_eof(out)


async def _relay_whole(
    request: web.BaseRequest, upstream: UpstreamResponse, filter_: Filter, extra_headers: RawHeaders, on_block: OnBlock
) -> RelayedResponse:
    pieces = [filter_.feed(upstream.buffered())]
    while not upstream.ended:
        pieces.append(filter_.feed(await upstream.read()))
    body = b"".join([*pieces, filter_.finish()])
    if filter_.blocks:
        await on_block()
    length = (b"Content-Length", b"%d" % len(body))
    response = _answer(request, upstream, [*extra_headers, length], untouched=False, length_known=True)
    await response.write_eof(body)
    return response


def _answer(
    request: web.BaseRequest,
    upstream: UpstreamResponse,
    extra_headers: RawHeaders,
    *,
    untouched: bool,
    length_known: bool = False,
) -> RelayedResponse:
    """The response as far as its head; the length stays where the body does."""
    has_body = request.method != "HEAD" and upstream.status not in _BODILESS_STATUSES
    keeps_length = upstream.status != 204 and (untouched or not has_body) and "Transfer-Encoding" not in upstream.headers
    drop = frozenset() if keeps_length else _LENGTH if untouched else _ABOUT_THE_BYTES
    return RelayedResponse(
        request,
        status=upstream.status,
        reason=upstream.reason,
        headers=[*for_client(upstream.raw_headers, upstream.headers.getall("Connection", ()), drop=drop), *extra_headers],
        has_body=has_body,
        length_known=length_known or (keeps_length and "Content-Length" in upstream.headers),
    )
