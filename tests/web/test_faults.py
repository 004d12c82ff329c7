"""Connections that fail in every phase of a chat, through the whole proxy: what the client sees, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.fakes import ABOUT_TEA, ModelAPI, RunningProxy, memory_proxy, model_api
from tests.web.conftest import PATIENCE_S, RawClient, Talk, read_request, request, reset
from tests.web.test_relay import answering

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"data: [DONE]\n\n"
TWO = '<memory>{"memories":[{"content":"Likes green tea"},{"content":"Lives in Rome"}]}</memory>'

Start = Callable[..., Awaitable[RunningProxy]]


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def told(text: str) -> bytes:
    """The events of an answer, but for its end."""
    return b"".join(ModelAPI(text=text).events()[:-2])


@dataclass(frozen=True)
class Broken:
    """An upstream that ends its connection when it has *sent* so much; the client then *got* this status and text."""

    when: str
    sent: bytes
    got: tuple[int, str]
    kept: tuple[str, ...] = ()

    @property
    def user(self) -> str:
        return self.when.replace(" ", "-")


NOTED = told(f"Noted.\n{TWO}")
IN_BLOCK = told(f"Noted.\n{TWO}".partition("Rome")[0])
BROKEN = [
    Broken("before the head", b"", (502, "")),
    Broken("in the status line", b"HTTP/1.1 20", (502, "")),
    Broken("with garbage for a status line", b"\x16\x03\x01\x02\r\n\r\n", (502, "")),
    Broken("in the head", HEAD[:40], (502, "")),
    Broken("behind the head", HEAD, (200, "")),
    Broken("in an event", HEAD + chunked(told("Hello").partition(b"lo")[0]), (200, "Hel")),
    Broken("in a chunk's length", HEAD + chunked(told("Hello")) + b"4", (200, "Hello")),
    Broken("in a chunk", HEAD + chunked(told("Hello")) + b"40\r\n: x", (200, "Hello")),
    Broken("in an open tag", HEAD + chunked(told("Hello <mem")), (200, "Hello <mem")),
    Broken("in a block", HEAD + chunked(IN_BLOCK), (200, "Noted."), ("Likes green tea",)),
    Broken("behind a block", HEAD + chunked(NOTED), (200, "Noted."), ("Likes green tea", "Lives in Rome")),
    Broken("before the last chunk", HEAD + chunked(NOTED + END), (200, "Noted."), ("Likes green tea", "Lives in Rome")),
]


@pytest.fixture
async def model(stack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
def start(stack, model: ModelAPI, start_socket_upstream, tmp_path: Path) -> Start:
    """Start a proxy before an upstream that does as *talk* says; its embeddings are *model*'s."""

    async def start(talk: Talk, **options: object) -> RunningProxy:
        upstream = await start_socket_upstream(talk)
        return await stack.enter_async_context(memory_proxy(model, tmp_path, upstream__base_url=upstream, **options))

    return start


def ask(text: str = "I like green tea", *headers: str, user: str = "ann") -> bytes:
    body = b'{"model":"m","stream":true,"messages":[{"role":"user","content":"%b"}]}' % text.encode()
    return request("POST", "/v1/chat/completions", f"X-Memory-User: {user}", *headers, body=body)


async def end(writer: asyncio.StreamWriter, how: str, sent: bytes) -> None:
    writer.write(sent)
    await writer.drain()
    if how == "reset":
        reset(writer)


@pytest.mark.parametrize("how", ["end", "reset"])
async def test_an_upstream_that_breaks_off_gives_no_whole_answer_and_loses_no_memory(how: str, start: Start, connect):
    waiting = iter(BROKEN)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await end(writer, how, next(waiting).sent)

    proxy = await start(talk)
    seen = []
    for broken in BROKEN:
        client = await connect(proxy.address)
        await client.send(ask(user=broken.user))
        seen.append(replace(broken, got=await said(client), kept=tuple(await proxy.memories(broken.user))))
    assert seen == BROKEN


async def said(client: RawClient) -> tuple[int, str]:
    """The status, and the text of a stream that must not have ended; of an answer of our own, nothing."""
    status = int((await client.head())[0].split()[1])
    if status != 200:
        return status, ""
    stream = await client.read_to_end()
    assert not stream.endswith(b"0\r\n\r\n")
    return status, "".join(piece.decode() for piece in contents(stream))


def contents(stream: bytes) -> list[bytes]:
    """The values of ``content`` in *stream*, also of an event that is torn."""
    return [piece.partition(b'"')[0] for piece in unchunked(stream).split(b'"content": "')[1:]]


def unchunked(stream: bytes) -> bytes:
    data = b""
    while stream:
        size, _, stream = stream.partition(b"\r\n")
        data += stream[: int(size, 16)]
        stream = stream[int(size, 16) + 2 :]
    return data


async def test_a_head_that_never_ends_is_a_timeout(start: Start, connect):
    """Each byte of it is progress, and still it's no answer."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    proxy = await start(talk, upstream__first_byte_timeout_s=1)
    client = await connect(proxy.address)
    await client.send(ask())
    assert (await client.head())[0] == b"HTTP/1.1 504 Gateway Timeout"


async def test_a_head_that_is_too_long_is_refused(start: Start, connect):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    proxy = await start(talk)
    client = await connect(proxy.address)
    await client.send(ask())
    assert (await client.head())[0] == b"HTTP/1.1 502 Bad Gateway"


async def test_a_block_that_stops_coming_ends_at_the_idle_timeout_and_is_kept(start: Start, connect):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD + chunked(IN_BLOCK))
        await reader.read()

    proxy = await start(talk, upstream__idle_timeout_s=1)
    client = await connect(proxy.address)
    await client.send(ask())
    assert await said(client) == (200, "Noted.")
    assert await proxy.memories("ann") == ["Likes green tea"]


async def test_an_event_one_byte_at_a_time_is_read_all_the_same(start: Start, connect):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(HEAD)
        for byte in told(f"Noted.\n{ABOUT_TEA}") + END:
            writer.write(chunked(bytes([byte])))
            await asyncio.sleep(0)
        writer.write(b"0\r\n\r\n")
        await reader.read()

    proxy = await start(talk)
    client = await connect(proxy.address)
    await client.send(ask("I like green tea", "Connection: close"))
    await client.head()
    stream = await client.read_to_end()
    assert stream.endswith(b"0\r\n\r\n")
    assert b"".join(contents(stream)) == b"Noted."
    assert await proxy.memories("ann") == ["Likes green tea"]


async def test_a_client_that_is_slow_with_its_body_gets_its_answer(start: Start, connect):
    proxy = await start(answering(HEAD + chunked(told("Hello") + END) + b"0\r\n\r\n"))
    client = await connect(proxy.address)
    data = ask("I like green tea", "Connection: close")
    for i in range(0, len(data), 16):
        await client.send(data[i : i + 16])
        await asyncio.sleep(0.002)
    await client.head()
    assert b"".join(contents(await client.read_to_end())) == b"Hello"


@pytest.mark.parametrize("upto", [20, -10], ids=["in the head", "in the body"])
async def test_a_client_that_leaves_in_the_middle_of_its_request_reaches_no_upstream(upto: int, start: Start, connect):
    seen = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    proxy = await start(talk)
    client, other = await connect(proxy.address), await connect(proxy.address)
    await client.send(ask("left")[:upto])
    client.leave()
    await other.send(ask("stays"))
    assert (await other.head())[0] == b"HTTP/1.1 200 OK"
    assert [b"stays" in body for _, body in seen] == [True]


async def test_hundreds_of_clients_that_never_end_their_head_hold_nobody_up(start: Start, connect):
    proxy = await start(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"))
    slow = [await connect(proxy.address) for _ in range(300)]
    for client in slow:
        await client.send(b"POST /v1/chat/completions HTTP/1.1\r\nX-Slow: ")
    client = await connect(proxy.address)
    await client.send(ask())
    async with asyncio.timeout(PATIENCE_S):
        assert (await client.head())[0] == b"HTTP/1.1 200 OK"
