"""One request and its answer, on a connection of aiohttp's pool.

aiohttp's connector finds, opens, secures and keeps connections, and its protocol holds back what comes too fast and parses it (llhttp).
``ClientSession`` stands between the two with cookies, redirects, authentication, timers and a task for each body.
A relay has no use for those, and they took a sixth of the CPU of a relayed request (``docs/benchmarks.md``).
Here the head is written as bytes, so values beyond ASCII, duplicates and spellings go upstream as they came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpProcessingError, RawResponseMessage, StreamWriter
from yarl import URL

Body = bytes | AsyncIterable[bytes] | None

_AT_ONCE_BYTES = 1024 * 1024
"""Of a larger body the connection would make a copy, which holds up the others."""
_PIECE_BYTES = 64 * 1024
_NO_BODY_MEANT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request as it is written: its *head* ends with the blank line; *in_chunks*: its body has no known length."""

    head: bytes
    body: Body
    in_chunks: bool
    is_head: bool

    @property
    def replayable(self) -> bool:
        """Whether it could be sent again."""
        return self.body is None or isinstance(self.body, bytes)


def outgoing(method: str, url: URL, headers: Sequence[tuple[str, str]], body: Body) -> Outgoing:
    """Nothing is added but ``Host`` and how long the body is. Raises ``ValueError`` if a header holds a line break."""
    body = body or None
    framing = _framing(method, body) if not any(name.lower() == "content-length" for name, _ in headers) else ()
    lines = [
        f"{method} {url.raw_path_qs} HTTP/1.1",
        f"Host: {url.host_port_subcomponent}",
        *[f"{name}: {value}" for name, value in (*headers, *framing)],
        "",
        "",
    ]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValueError("a line break in a header")
    in_chunks = bool(framing) and framing[0][0] == "Transfer-Encoding"
    # What was no UTF-8 when it came is lone surrogates now, and the same bytes again then.
    return Outgoing(text.encode("utf-8", "surrogateescape"), body, in_chunks, method == "HEAD")


def _framing(method: str, body: Body) -> tuple[tuple[str, str], ...]:
    if body is None:
        return () if method in _NO_BODY_MEANT else (("Content-Length", "0"),)
    return (("Content-Length", str(len(body))),) if isinstance(body, bytes) else (("Transfer-Encoding", "chunked"),)


# Connections that have carried a request; weak, since aiohttp's pool owns them.
_used: WeakSet[ResponseHandler] = WeakSet()


class Exchange:
    """A *connection* while it carries one request and its answer; it goes back to the pool at the answer's end. Close it in every case.

    *reused*: it had served others before. Errors are aiohttp's.
    """

    __slots__ = ("_connection", "_on_sent", "_upload", "content", "message", "protocol", "reused")

    message: RawResponseMessage
    content: aiohttp.StreamReader

    def __init__(self, connection: Connection, request: Outgoing, *, limit_bytes: int) -> None:
        assert connection.protocol is not None
        self._connection: Connection | None = connection
        self._upload: asyncio.Task[None] | None = None
        self._on_sent: Callable[[], None] | None = None
        self.protocol = connection.protocol
        self.reused = self.protocol in _used
        if not self.reused:
            _used.add(self.protocol)
        self.protocol.set_response_params(
            skip_payload=request.is_head,
            read_until_eof=True,
            auto_decompress=False,
            read_bufsize=_READ_BYTES,
            max_line_size=limit_bytes,
            max_field_size=limit_bytes,
        )

    @property
    def connection(self) -> Connection | None:
        """As long as the answer has not ended."""
        return self._connection

    async def run(self, request: Outgoing, on_sent: Callable[[], None] | None) -> None:
        """Send *request* and wait for the head of its answer; *on_sent* is told when all is sent, unless the answer is there before."""
        self._on_sent = on_sent
        try:
            self._send(request)
            await self._head()
        except BaseException:
            self.close()
            raise
        finally:
            self._on_sent = None

    def close(self) -> None:
        """Hang up, unless the answer has ended."""
        if self._upload is not None:
            self._upload.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, request: Outgoing) -> None:
        transport, body = self.protocol.transport, request.body
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("the connection is closing")
        if body is None or (isinstance(body, bytes) and len(body) <= _AT_ONCE_BYTES):
            transport.write(request.head + body if body else request.head)
            self._sent()
        else:
            transport.write(request.head)
            self._upload = asyncio.create_task(self._send_body(body, in_chunks=request.in_chunks))

    async def _send_body(self, body: bytes | AsyncIterable[bytes], *, in_chunks: bool) -> None:
        """Beside the wait for the answer, which may come before all is sent."""
        writer = StreamWriter(self.protocol, asyncio.get_running_loop())
        if in_chunks:
            writer.enable_chunking()
        try:
            async for data in _pieces(body) if isinstance(body, bytes) else body:
                await writer.write(data)
            await writer.write_eof()
        except Exception as exc:  # noqa: BLE001 (whatever it is, who waits for the answer must hear of it)
            known = isinstance(exc, OSError)
            failed = aiohttp.ClientOSError(*exc.args) if known else aiohttp.ClientConnectionError(f"the body ended: {exc!r}")
            self.protocol.set_exception(failed, exc)
        else:
            self._sent()

    def _sent(self) -> None:
        if self._on_sent is not None:
            self._on_sent()

    async def _head(self) -> None:
        try:
            self.message, self.content = await self.protocol.read()
            while 100 <= self.message.code < 200 and self.message.code != 101:
                self.message, self.content = await self.protocol.read()
        except HttpProcessingError as exc:
            raise aiohttp.ClientPayloadError("the answer is not HTTP") from exc
        self.content.on_eof(self._ended)

    def _ended(self) -> None:
        if self._connection is None or self.protocol.upgraded:
            return
        if self._upload is not None and not self._upload.done():
            self.close()  # what is left of the request would be taken for the next one
        else:
            self._connection.release()
            self._connection = None


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE_BYTES):
        yield body[start : start + _PIECE_BYTES]
