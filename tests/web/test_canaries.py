"""Whatever fails, no key, token or content of a message stands in the log, or in an error of ours."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
import structlog
from aiohttp import web

from proxy import logs
from proxy.config import Log
from proxy.memory.plan import Planner
from tests.fakes import ModelAPI, RunningProxy, memory_proxy, model_api

HANG_S = 60
KEY, TEXT, TOKEN = "sk-canary-key", "canary-text", "canary-token"
CHAT = {"model": "m", "messages": [{"role": "user", "content": f"I like {TEXT} very much"}], "user": "ann"}
KEYS = {"Authorization": f"Bearer {KEY}", "api-key": KEY, "x-api-key": KEY}

Start = Callable[..., Awaitable[RunningProxy]]


@pytest.fixture
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Everything that is logged, as ``serve`` would write it at the level of most words."""
    stream = io.TextIOWrapper(io.BytesIO(), write_through=True)
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logs.configure(Log(level="debug", format=getattr(request, "param", "json")))
    yield lambda: stream.buffer.getvalue().decode()
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
async def resources() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(resources: AsyncExitStack) -> ModelAPI:
    model = await resources.enter_async_context(model_api())
    model.text = f'Noted.\n<memory>{{"memories":["Likes {TEXT}"]}}</memory>'
    return model


@pytest.fixture
def start(resources: AsyncExitStack, model: ModelAPI, tmp_path: Path) -> Start:
    async def start(**options: object) -> RunningProxy:
        return await resources.enter_async_context(memory_proxy(model, tmp_path, **options))

    return start


async def chat(proxy: RunningProxy, query: str = f"?api-key={KEY}", **headers: str) -> tuple[int, str]:
    """Status and body of the answer; ``0`` if there is none."""
    async with aiohttp.ClientSession() as client:
        try:
            async with client.post(f"{proxy.url}/chat/completions{query}", json=CHAT, headers=KEYS | headers) as answer:
                return answer.status, await answer.text()
        except aiohttp.ClientError:
            return 0, ""


async def send(proxy: RunningProxy, data: bytes) -> None:
    """Have the proxy answer to bytes."""
    reader, writer = await asyncio.open_connection(*proxy.address.removeprefix("http://").split(":"))
    writer.write(data)
    if data.endswith(b"canary-text"):
        writer.write_eof()
    async with asyncio.timeout(HANG_S):
        await reader.read(1)  # an answer, or the end
    writer.close()


def clean(*texts: str) -> bool:
    return not any("canary" in text for text in texts)


def mentions(text: str, event: str) -> bool:
    """That something was logged at all, so that finding no canary in it says something."""
    return event in text


async def test_an_upstream_that_can_t_be_reached(start, written):
    proxy = await start(upstream__base_url="http://127.0.0.1:9/v1")
    status, body = await chat(proxy)
    text = written()
    assert (status, mentions(text, "502"), clean(body, text)) == (502, True, True)


@pytest.mark.parametrize(
    "answer",
    [
        b"canary-text of no protocol\r\n\r\n",
        b"HTTP/1.1 200 canary\r\ncanary text\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\ncanary-text\r\n",
        b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 999\r\n\r\ndata: {"canary-text',
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{canary-text}",
    ],
    ids=["no HTTP", "a broken header", "a broken chunk", "cut short", "no JSON"],
)
async def test_an_upstream_that_answers_garbage(start, written, answer):
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        proxy = await start(upstream__base_url=f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        status, body = await chat(proxy)
        await proxy.settled()
    text = written()
    assert mentions(text, "/v1/chat/completions")
    assert (clean(text), status == 200 or clean(body)) == (True, True)


async def test_embeddings_that_quote_what_they_refuse(start, model, written, monkeypatch):
    proxy = await start()
    monkeypatch.setattr(model, "_vectors", lambda texts: web.json_response({"detail": [{"input": texts}]}, status=422))
    status, _ = await chat(proxy)
    await proxy.settled()
    text = written()
    assert (status, mentions(text, "embed"), clean(text)) == (200, True, True)


@pytest.mark.parametrize("written", ["json", "console"], indirect=True)
async def test_a_mistake_of_ours(start, written, monkeypatch):
    async def fail(planner: Planner, headers: object, mode: object, body: bytes, **_: object) -> None:
        content = json.loads(body)["messages"][0]["content"]
        raise ValueError(f"can't read {content!r} for {headers!r}")

    monkeypatch.setattr(Planner, "plan", fail)
    status, body = await chat(await start())
    text = written()
    assert (status, mentions(text, "ValueError"), clean(body, text)) == (500, True, True)


@pytest.mark.parametrize(
    "data",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization Bearer sk-canary-key\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-canary\0key\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nauthorization: %b\r\n\r\n" % (b"canary-key" * 20_000),
        b"canary-text\r\n\r\n",
        b"GET /v1/x HTTP/1.1\r\nHost: x\r\n\r\ncanary-text\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\ncanary-text\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\ncanary-text",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-Memory-User: \xff\r\napi-key: canary-key\r\nContent-Length: 2\r\n\r\n{}",
        b"GET http://ann:canary-key@host/v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ],
    ids=["header", "NUL", "long header", "method", "second request", "chunk", "cut short", "user", "forward proxy"],
)
async def test_requests_that_are_broken(start, written, data):
    proxy = await start(upstream__base_url="http://127.0.0.1:9/v1")
    await send(proxy, data)
    assert clean(written())


async def test_keys_and_tokens_that_are_refused(start, written, monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "canary-shop")
    proxy = await start(auth__clients="[{name: shop, key_env: SHOP_KEY, modes: ['off']}]", auth__admin_token=TOKEN)
    refused, wrong_mode = await chat(proxy), await chat(proxy, **{"Authorization": "Bearer canary-shop", "X-Memory-Mode": "full"})
    async with aiohttp.ClientSession() as client:
        bearer = {"Authorization": "Bearer canary-guess"}
        async with client.get(f"{proxy.address}/memory/v1/memories?q={TEXT}", headers=bearer) as answer:
            admin = answer.status, await answer.text()
    text = written()
    assert [refused[0], wrong_mode[0], admin[0]] == [401, 403, 401]
    assert (mentions(text, "401"), clean(text, refused[1], wrong_mode[1], admin[1])) == (True, True)


async def test_all_that_goes_well(start, written):
    proxy = await start(identity__tenant="api_key", identity__tenant_secret="canary-secret")
    for mode in ("full", "read", "write", "off"):
        assert (await chat(proxy, **{"X-Memory-Mode": mode}))[0] == 200
    await proxy.settled()
    text = written()
    assert (mentions(text, "/v1/chat/completions"), clean(text)) == (True, True)
