"""A real proxy between a real client and an upstream that a test plays, with aiohttp or with a bare socket."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from proxy.app import server_options
from proxy.config import Config, Limits, Listen, NamedUpstream, Upstream
from proxy.core.routing import Routes
from proxy.web.doors import EVERYBODY
from proxy.web.middleware import log_and_answer_errors
from proxy.web.passthrough import passthrough
from proxy.web.services import SERVICES, Services
from proxy.web.tunnel import tunnel, wants_tunnel
from proxy.web.upstream import open_upstreams

# Guards against a test that hangs; nothing is expected to take this long.
PATIENCE_S = 10

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def stack() -> AsyncIterator[contextlib.AsyncExitStack]:
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start_server(stack):
    """Start an application with the server's options of a proxy; gives its address."""

    async def start(app: web.Application) -> str:
        runner = web.AppRunner(app, **server_options(Config(listen=Listen(grace_s=0.1))))
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return "http://{}:{}".format(*runner.addresses[0])

    return start


@pytest.fixture
def start_proxy(stack, start_server):
    """Start a proxy in front of *base_url*, without memory, which has no part in these tests; gives its address."""

    async def start(base_url: str, *, upstreams: tuple[NamedUpstream, ...] = (), handler=relayed, **options) -> str:
        upstream = Upstream(base_url=base_url, **options)
        app = web.Application(client_max_size=1 << 30, middlewares=[log_and_answer_errors])
        app[SERVICES] = Services(Routes(base_url, upstreams), await stack.enter_async_context(open_upstreams(upstream, Limits())))
        app.router.add_route("*", "/{path:(?s:.*)}", handler)
        return await start_server(app)

    return start


async def relayed(request: web.Request) -> web.StreamResponse:
    return await (tunnel(request, EVERYBODY) if wants_tunnel(request) else passthrough(request, EVERYBODY))


@pytest.fixture
def start_upstream(start_server):
    """Start an aiohttp server with one handler for everything; gives its base URL."""

    async def start(handler) -> str:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:(?s:.*)}", handler)
        return f"{await start_server(app)}/v1"

    return start


@pytest.fixture
def start_socket_upstream(stack):
    """Start a server that hands each connection to *talk*; gives its base URL."""

    async def start(talk: Talk) -> str:
        talks: set[asyncio.Task[None] | None] = set()

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            talks.add(asyncio.current_task())
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await talk(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass  # the proxy hung up: what the test is about, or its end
            finally:
                writer.close()

        async def stop() -> None:
            server.close()
            if talks:
                await asyncio.wait(talks)

        server = await asyncio.start_server(guarded, "127.0.0.1", 0)
        stack.push_async_callback(stop)
        return "http://{}:{}/v1".format(*server.sockets[0].getsockname())

    return start


@pytest.fixture
async def client(stack) -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
    return await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, auto_decompress=False))


class RawClient:
    """One connection to the proxy, byte for byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """The status line, and the headers in lower case and sorted, but for ``Date``."""
        async with asyncio.timeout(PATIENCE_S):
            start_line, *lines = (await self.reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[:-2]
        pairs = [line.partition(b": ")[::2] for line in lines]
        return start_line, sorted((name.lower(), value) for name, value in pairs if name.lower() != b"date")

    async def read(self, size: int) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.readexactly(size)

    async def read_to_end(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    def leave(self) -> None:
        self.writer.transport.abort()


@pytest.fixture
def connect(stack):
    async def connect(address: str) -> RawClient:
        host, _, port = address.removeprefix("http://").partition("/")[0].partition(":")
        client = RawClient(*await asyncio.open_connection(host, int(port)))
        stack.callback(client.leave)
        return client

    return connect


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a crash would."""
    linger_not = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
    writer.transport.abort()


def request(method: str = "GET", path: str = "/v1/x", *headers: str, body: bytes = b"", version: str = "1.1") -> bytes:
    """A request as bytes; its length is added if there is a body."""
    lines = [f"{method} {path} HTTP/{version}", "Host: proxy", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


async def read_request(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Head and body (of a known length) of one request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")), 0)
    return head, await reader.readexactly(length)
