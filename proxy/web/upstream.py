"""Requests to upstreams: how long they may take, how they fail, under our names, and the one that is sent twice.

No answer is ever asked for twice because of its status: the clients' own libraries do that, and retries that stack are paid twice.
The one repetition here is of a connection: an idle one may be closed by the upstream in the moment in which we take it.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from proxy.config import Limits, Upstream
from proxy.core.headers import RawHeaders
from proxy.errors import ProxyError, UpstreamBroken, UpstreamTimeout, UpstreamUnreachable
from proxy.web.exchange import Body, Exchange, Outgoing, outgoing
from proxy.web.sightings import Sighting
from proxy.web.waits import Waits

_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_SAYING_WHY = (aiohttp.ClientOSError, aiohttp.ServerTimeoutError)
_DIED = (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError, aiohttp.ClientConnectionResetError)


class UpstreamResponse:
    """What an upstream answers: the head at once, the body as it arrives. Close it in every case."""

    __slots__ = (
        "_content",
        "_exchange",
        "_failure",
        "_idle_timeout_s",
        "_lost",
        "_sighting",
        "_waits",
        "headers",
        "raw_headers",
        "reason",
        "status",
    )

    def __init__(self, exchange: Exchange, waits: Waits, idle_timeout_s: float, sighting: Sighting) -> None:
        message = exchange.message
        self._exchange = exchange
        self._sighting = sighting
        self._waits = waits
        self._idle_timeout_s = idle_timeout_s
        self._content = exchange.content
        self._failure: ProxyError | None = None
        self._lost = exchange.protocol.closed if exchange.connection is not None else None
        if self._lost is not None:
            self._lost.add_done_callback(self._wake)
        self.status = message.code
        self.reason = message.reason or ""
        self.headers = message.headers
        self.raw_headers: RawHeaders = message.raw_headers

    @property
    def content_type(self) -> str:
        """Type and subtype in lower case, without parameters; empty if the upstream sent none."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def connection(self) -> Connection | None:
        """The connection, as long as the body has not ended; for protocols other than HTTP."""
        return self._exchange.connection

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
        self._exchange.close()

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
        if not isinstance(self._exchange.protocol.exception(), aiohttp.ClientOSError):
            return False
        return "Content-Length" not in self.headers and "Transfer-Encoding" not in self.headers


class UpstreamClient:
    """Opens requests. Made by ``open_upstreams``, one for the process. *sightings*: by the name of an upstream."""

    def __init__(self, pool: Pool, waits: Waits, options: Upstream, limits: Limits) -> None:
        self._pool = pool
        self._waits = waits
        self._options = options
        self._header_bytes = limits.header_bytes
        self.sightings: defaultdict[str, Sighting] = defaultdict(Sighting)

    async def open(
        self, method: str, url: str, headers: list[tuple[str, str]], body: Body, *, upstream: str = "default"
    ) -> UpstreamResponse:
        """Send a request to *url*, which is of *upstream*, and wait for the head of its answer.

        Raises ``UpstreamUnreachable``, ``UpstreamBroken`` or ``UpstreamTimeout``.
        """
        sighting = self.sightings[upstream]
        try:
            exchange = await self._exchanged(URL(url, encoded=True), method, headers, body)
        except ProxyError as exc:
            sighting.lost(exc)
            raise
        sighting.saw(exchange.message.code)
        return UpstreamResponse(exchange, self._waits, self._options.idle_timeout_s, sighting)

    async def _exchanged(self, url: URL, method: str, headers: list[tuple[str, str]], body: Body) -> Exchange:
        request = outgoing(method, url, headers, body)
        try:
            exchange = await self._begun(url, request)
            try:
                await self._run(exchange, request)
            except aiohttp.ClientError as exc:
                if not _died_idle(exchange, request, exc):
                    raise
                return await self._again(url, request)
        except aiohttp.ClientError as exc:
            raise _rename(exc) from exc
        return exchange

    async def _begun(self, url: URL, request: Outgoing) -> Exchange:
        return Exchange(await self._pool.connect(url), request, limit_bytes=self._header_bytes)

    async def _run(self, exchange: Exchange, request: Outgoing) -> None:
        """An upload may take its time: the clock for its answer starts when it's over."""

        def expect_answer() -> None:
            self._waits.begin(exchange.protocol, self._options.first_byte_timeout_s)

        if request.replayable:
            expect_answer()
        try:
            await exchange.run(request, None if request.replayable else expect_answer)
        finally:
            self._waits.end(exchange.protocol)

    async def _again(self, url: URL, request: Outgoing) -> Exchange:
        try:
            exchange = await self._begun(url, request)
            await self._run(exchange, request)
        except aiohttp.ServerTimeoutError:
            raise
        except aiohttp.ClientError as exc:
            # The first attempt may have arrived, so even "unreachable" doesn't say that nothing was processed.
            raise UpstreamBroken(_message("The connection to the upstream died twice", exc)) from exc
        return exchange


class Pool:
    """Connections to upstreams: aiohttp's, which are asked for with one request for each origin, made once."""

    def __init__(self, connector: aiohttp.BaseConnector, timeout: aiohttp.ClientTimeout) -> None:
        self._connector = connector
        self._timeout = timeout
        self._asking: dict[URL, aiohttp.ClientRequest] = {}

    async def connect(self, url: URL) -> Connection:
        """An idle one, or a new one. Raises ``aiohttp.ClientError``."""
        origin = url.origin()
        asking = self._asking.get(origin)
        if asking is None:
            asking = self._asking[origin] = aiohttp.ClientRequest("GET", origin, loop=asyncio.get_running_loop())
        try:
            return await self._connector.connect(asking, traces=[], timeout=self._timeout)
        except TimeoutError as exc:
            raise aiohttp.ConnectionTimeoutError(f"no connection to {origin} in time") from exc


@asynccontextmanager
async def open_upstreams(options: Upstream, limits: Limits) -> AsyncIterator[UpstreamClient]:
    """The client of every upstream, with the pool of idle connections behind it."""
    tick_s = min(1.0, options.first_byte_timeout_s / 20, options.idle_timeout_s / 20)
    async with (
        Waits(tick_s=tick_s).running() as waits,
        aiohttp.TCPConnector(limit=0, keepalive_timeout=options.keepalive_s) as connector,
    ):
        pool = Pool(connector, aiohttp.ClientTimeout(total=None, connect=options.connect_timeout_s))
        yield UpstreamClient(pool, waits, options, limits)


def _died_idle(exchange: Exchange, request: Outgoing, exc: aiohttp.ClientError) -> bool:
    return (
        exchange.reused
        and request.replayable
        and isinstance(exc, _DIED)
        and isinstance(getattr(exc, "message", ""), str)  # else it holds the part of an answer that had arrived
    )


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
