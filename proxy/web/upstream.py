"""Opens requests on the one shared ``ClientSession``, and renames aiohttp's errors.

No answer is ever asked for twice because of its status: the clients' own libraries do that, and retries that stack are paid twice.
The one repetition here is of a connection: an idle one may be closed by the upstream in the moment in which we take it.
aiohttp repeats ``GET`` in that case, also on a fresh connection, and ``POST`` never, so both are decided here.
"""

from __future__ import annotations

import asyncio
import io
from collections import defaultdict
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from weakref import WeakSet

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.typedefs import LooseHeaders
from multidict import CIMultiDict
from yarl import URL

from proxy.config import Limits, Upstream
from proxy.core.headers import RawHeaders
from proxy.errors import ProxyError, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from proxy.web.opaque import OpaqueValues, put_back, take_opaque
from proxy.web.sightings import Sighting
from proxy.web.waits import Waits

Body = bytes | AsyncIterable[bytes] | None

_LARGE_BYTES = 1024 * 1024
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_SAYING_WHY = (aiohttp.ClientOSError, aiohttp.ServerTimeoutError)
_DIED = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError)


class UpstreamResponse:
    """What an upstream answers: the head at once, the body as it arrives. Close it in every case."""

    __slots__ = (
        "_content",
        "_failure",
        "_idle_timeout_s",
        "_lost",
        "_protocol",
        "_response",
        "_sighting",
        "_waits",
        "headers",
        "raw_headers",
        "reason",
        "status",
    )

    def __init__(self, response: aiohttp.ClientResponse, waits: Waits, idle_timeout_s: float, sighting: Sighting) -> None:
        self._response = response
        self._sighting = sighting
        self._waits = waits
        self._idle_timeout_s = idle_timeout_s
        self._content = response.content
        self._failure: ProxyError | None = None
        self._protocol = response.connection.protocol if response.connection is not None else None
        self._lost = self._protocol.closed if self._protocol is not None else None
        if self._lost is not None:
            self._lost.add_done_callback(self._wake)
        self.status = response.status
        self.reason = response.reason or ""
        self.headers = response.headers
        self.raw_headers: RawHeaders = response.raw_headers

    @property
    def content_type(self) -> str:
        """Type and subtype in lower case, without parameters; empty if the upstream sent none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def connection(self) -> Connection | None:
        """The connection, as long as the body has not ended; for protocols other than HTTP."""
        return self._response.connection

    @property
    def ended(self) -> bool:
        """Whether the body is complete and all of it was read."""
        return self._content.at_eof() and self._failure is None and not self._was_reset()

    def buffered(self) -> bytes:
        """What of the body is already here; never waits."""
        try:
            return self._content.read_nowait()
        except aiohttp.ClientError as exc:
            return self._left_over(exc)

    async def read(self) -> bytes:
        """The next bytes of the body. Raises ``UpstreamBroken`` or ``UpstreamTimeout`` where it breaks off, after its last byte."""
        if self._failure is not None:
            raise self._failure
        if self._was_reset():
            exc = UpstreamBroken("The upstream reset the connection in the middle of its answer.")
            self._sighting.lost(exc)
            raise exc
        self._waits.begin(self._content, self._idle_timeout_s)
        try:
            return await self._content.readany()
        except aiohttp.ClientError as exc:
            return self._left_over(exc) or await self.read()
        finally:
            self._waits.end(self._content)

    def close(self) -> None:
        """Hang up, unless the body is complete and the connection long free for the next request."""
        if self._lost is not None:
            self._lost.remove_done_callback(self._wake)
        if not self._response.closed:
            self._response.close()

    def _wake(self, lost: asyncio.Future[None]) -> None:
        """Where upstream no longer speaks HTTP, aiohttp closes the connection but leaves who reads from it waiting."""
        lost.exception()
        if not self._content.is_eof() and self._content.exception() is None:
            self._content.set_exception(aiohttp.ClientPayloadError("the answer is not HTTP"))

    def _left_over(self, exc: aiohttp.ClientError) -> bytes:
        """The bytes that arrived before *exc*; aiohttp would keep them to itself."""
        self._failure = _rename(exc)
        self._sighting.lost(self._failure)
        self._content.set_exception(None)  # type: ignore[arg-type]
        return self._content.read_nowait()

    def _was_reset(self) -> bool:
        """Whether the end of the connection, which ends a body of no known length, was a reset: aiohttp takes it for a clean end."""
        if self._protocol is None or not isinstance(self._protocol.exception(), aiohttp.ClientOSError):
            return False
        return "Content-Length" not in self.headers and "Transfer-Encoding" not in self.headers


class UpstreamClient:
    """Opens requests. Made by ``open_upstreams``, one for the process. *sightings*: by the name of an upstream."""

    def __init__(self, session: aiohttp.ClientSession, waits: Waits, *, idle_timeout_s: float) -> None:
        self._session = session
        self._waits = waits
        self._idle_timeout_s = idle_timeout_s
        self.sightings: defaultdict[str, Sighting] = defaultdict(Sighting)

    async def open(
        self, method: str, url: str, headers: list[tuple[str, str]], body: Body, *, upstream: str = "default"
    ) -> UpstreamResponse:
        """Send a request to *url*, which is of *upstream*, and wait for the head of its answer.

        Raises ``UpstreamUnreachable``, ``UpstreamBroken`` or ``UpstreamTimeout``.
        """
        sighting = self.sightings[upstream]
        try:
            response = await self._send(method, url, headers, body)
        except ProxyError as exc:
            sighting.lost(exc)
            raise
        sighting.saw(response.status)
        return UpstreamResponse(response, self._waits, self._idle_timeout_s, sighting)

    async def _send(self, method: str, url: str, headers: list[tuple[str, str]], body: Body) -> aiohttp.ClientResponse:
        try:
            return await self._session.request(
                method, URL(url, encoded=True), headers=_spelled_alike(headers), data=_payload(body), allow_redirects=False
            )
        except aiohttp.ClientError as exc:
            raise _rename(exc) from exc


@asynccontextmanager
async def open_upstreams(options: Upstream, limits: Limits) -> AsyncIterator[UpstreamClient]:
    """The client of every upstream, with the pool of idle connections behind it."""
    tick_s = min(1.0, options.first_byte_timeout_s / 20, options.idle_timeout_s / 20)
    async with (
        Waits(tick_s=tick_s).running() as waits,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=options.keepalive_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=options.connect_timeout_s),
            auto_decompress=False,
            request_class=_Request,
            middlewares=(_Sending(waits, options.first_byte_timeout_s),),
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
        ) as session,
    ):
        yield UpstreamClient(session, waits, idle_timeout_s=options.idle_timeout_s)


# Connections that have carried a request; weak, since aiohttp's pool owns them.
_used: WeakSet[ResponseHandler] = WeakSet()


class _Request(aiohttp.ClientRequest):
    """Knows whether it went out on a connection that had served others before, and when it was sent."""

    # Nothing is added that the client did not send; said here once, as aiohttp would work it out for each request.
    _skip_auto_headers = CIMultiDict((name, None) for name in ("Accept", "Accept-Encoding", "Content-Type", "User-Agent"))
    reused = False
    on_sent: Callable[[], None] | None = None
    _on: ResponseHandler | None = None
    _opaque: OpaqueValues | None = None

    @property
    def replayable(self) -> bool:
        return not self.body or isinstance(self.body, (aiohttp.BytesPayload, aiohttp.BytesIOPayload))

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Take *headers* as they are; aiohttp would look at each once more."""
        given = headers.items() if isinstance(headers, CIMultiDict) else ()
        self.headers = CIMultiDict([("Host", self.url.host_port_subcomponent or ""), *given])
        self._opaque = take_opaque(self.headers)

    def update_auto_headers(self, skip_auto_headers: Iterable[str] | None) -> None:
        """None: see ``_skip_auto_headers``."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        protocol = self._on = conn.protocol
        self.reused = protocol in _used
        if protocol is not None and not self.reused:
            _used.add(protocol)
        if protocol is not None and self._opaque:
            put_back(self._opaque, protocol)
        return await super().send(conn)

    async def write_bytes(self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None) -> None:
        await super().write_bytes(writer, conn, content_length)
        if self.on_sent is not None:
            self.on_sent()

    def set_exception(self, exc: BaseException) -> None:
        """End the wait for the answer."""
        if self._on is not None:
            self._on.set_exception(exc)


class _Sending:
    """Around each request: the time for its answer to begin, and the one repetition.

    Errors leave under our names: under aiohttp's own they would reach its rule for repeating.
    """

    def __init__(self, waits: Waits, first_byte_timeout_s: float) -> None:
        self._waits = waits
        self._first_byte_timeout_s = first_byte_timeout_s

    async def __call__(self, request: aiohttp.ClientRequest, send: ClientHandlerType) -> aiohttp.ClientResponse:
        assert isinstance(request, _Request)
        self._expect_answer(request)
        try:
            return await send(request)
        except aiohttp.ClientError as exc:
            if not _died_idle(request, exc):
                raise _rename(exc) from exc
            return await self._again(request, send)
        finally:
            request.on_sent = None
            self._waits.end(request)

    def _expect_answer(self, request: _Request) -> None:
        """An upload may take its time: the clock for its answer starts when it's over."""
        if request.replayable:
            self._waits.begin(request, self._first_byte_timeout_s)
        else:
            request.on_sent = lambda: self._waits.begin(request, self._first_byte_timeout_s)

    async def _again(self, request: _Request, send: ClientHandlerType) -> aiohttp.ClientResponse:
        await request.close()
        try:
            return await send(request)
        except aiohttp.ServerTimeoutError as exc:
            raise _rename(exc) from exc
        except aiohttp.ClientError as exc:
            # The first attempt may have arrived, so even "unreachable" doesn't say that nothing was processed.
            raise UpstreamBroken(_message("The connection to the upstream died twice", exc)) from exc


def _died_idle(request: _Request, exc: aiohttp.ClientError) -> bool:
    return (
        request.reused
        and request.replayable
        and isinstance(exc, _DIED)
        and not isinstance(exc, _NOT_CONNECTED)
        and isinstance(getattr(exc, "message", ""), str)  # else it holds the part of an answer that had arrived
    )


def _spelled_alike(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Duplicates under one spelling: of ``X-A`` and ``x-a`` aiohttp would only keep the last."""
    if len({name.lower() for name, _ in headers}) == len(headers):
        return headers
    spellings = {name.lower(): name for name, _ in headers}
    return [(spellings[name.lower()], value) for name, value in headers]


def _payload(body: Body) -> AsyncIterable[bytes] | bytes | io.BytesIO | None:
    """*body* in the form in which aiohttp sends it best: large bytes would be copied into one write, which holds up the others."""
    return io.BytesIO(body) if isinstance(body, bytes) and len(body) > _LARGE_BYTES else body or None


def _rename(exc: aiohttp.ClientError) -> ProxyError:
    if isinstance(exc, _NOT_CONNECTED):
        return UpstreamUnreachable(_message("The upstream can't be reached", exc))
    if isinstance(exc, aiohttp.ServerTimeoutError):
        return UpstreamTimeout("The upstream did not answer in time.")
    return UpstreamBroken(_message("The connection to the upstream broke", exc))


def _message(what: str, exc: aiohttp.ClientError) -> str:
    """*what* and why; not what a parser says, which quotes the answer that it can't read."""
    said = " ".join(str(exc).split()) if isinstance(exc, _SAYING_WHY) else ""
    return f"{what}: {said or type(exc).__name__}"
