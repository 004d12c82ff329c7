"""The proxy as a process: what signals do to it, and how much memory it takes."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import repeat
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from proxy.config import Store
from proxy.core.models import Owner
from proxy.memory.stores import open_store
from tests.fakes import ABOUT_TEA, DIMENSIONS, ModelAPI, model_api
from tests.processes import PATIENCE_S, ProxyProcess, proxy_process

STREAMS = 50
MB = 1024 * 1024
NOTED = f"Noted.\n{ABOUT_TEA}"
SSE = {"Content-Type": "text/event-stream"}

Start = Callable[..., Awaitable[ProxyProcess]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(PATIENCE_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
async def client(stack: AsyncExitStack) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    return await stack.enter_async_context(aiohttp.ClientSession(connector=connector, auto_decompress=False))


@pytest.fixture
def start(stack: AsyncExitStack, model: ModelAPI, tmp_path: Path) -> Start:
    """Start a process in front of *model*, with its data in the test's folder."""

    async def start(**options: object) -> ProxyProcess:
        # In a thread: the model, which the proxy asks for a vector when it starts, lives on this loop.
        context = proxy_process(model.url, tmp_path, **options)
        proxy = await asyncio.to_thread(context.__enter__)
        stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
        return proxy

    return start


def asking(client: aiohttp.ClientSession, proxy: ProxyProcess, user: str = "ann", mode: str = "full"):
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": f"I am {user} and like green tea"}]}
    headers = {"X-Memory-User": user, "X-Memory-Mode": mode}
    return client.post(f"{proxy.address}/v1/chat/completions", data=json.dumps(body), headers=headers)


async def remembered(folder: Path, users: list[str]) -> list[list[str]]:
    """What the store holds of each, once no proxy has it open."""
    async with open_store(Store(path=str(folder)), DIMENSIONS) as store:
        return [[each.content for each in await store.list(Owner(user), limit=10)] for user in users]


class TestSignals:
    @pytest.fixture
    def users(self) -> list[str]:
        return [f"user{i}" for i in range(STREAMS)]

    async def test_streams_that_are_open_end_as_they_should_and_their_blocks_are_stored(
        self, start: Start, model: ModelAPI, client, users, tmp_path
    ):
        model.text, model.pause_at = NOTED, 2
        proxy = await start(listen__grace_s=PATIENCE_S)
        answers = await asyncio.gather(*(asking(client, proxy, user) for user in users))
        await model.paused.wait()
        proxy.signal(signal.SIGTERM)
        await asyncio.to_thread(proxy.logged, "stopping")
        model.go_on.set()
        assert {(await answer.read()).endswith(b"data: [DONE]\n\n") for answer in answers} == {True}
        assert await asyncio.to_thread(proxy.ended) == 0
        assert await remembered(tmp_path, users) == [["Likes green tea"]] * STREAMS

    async def test_beyond_the_grace_time_streams_are_broken_off_and_it_still_ends_well(self, start, model, client):
        model.pause_at = 2
        proxy = await start(listen__grace_s=0.5)
        answer = await asking(client, proxy)
        proxy.signal(signal.SIGTERM)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
        assert await asyncio.to_thread(proxy.ended) == 0

    async def test_who_comes_after_the_signal_is_refused(self, start, model, client):
        model.pause_at = 2
        proxy = await start(listen__grace_s=PATIENCE_S)
        answer = await asking(client, proxy)
        proxy.signal(signal.SIGTERM)
        await asyncio.to_thread(proxy.logged, "stopping")
        with pytest.raises(aiohttp.ClientOSError):
            await asking(client, proxy)
        model.go_on.set()
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        assert await asyncio.to_thread(proxy.ended) == 0

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    async def test_a_second_signal_ends_at_once(self, number: signal.Signals, start, model, client):
        model.pause_at = 2
        proxy = await start(listen__grace_s=10 * PATIENCE_S)
        await asking(client, proxy)
        proxy.signal(number)
        await asyncio.to_thread(proxy.logged, "stopping")
        proxy.signal(number)
        assert await asyncio.to_thread(proxy.ended) != 0

    async def test_what_was_killed_starts_again_with_what_it_had_stored(self, start, model, client, tmp_path):
        model.text = NOTED
        proxy = await start(store__flush_interval_s=0.1)
        await (await asking(client, proxy)).read()
        await asyncio.to_thread(proxy.logged, "remembered")
        proxy.signal(signal.SIGKILL)
        assert await asyncio.to_thread(proxy.ended) == -signal.SIGKILL
        again = await start()
        answer = await asking(client, again, "bob")
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")
        again.signal(signal.SIGTERM)
        assert await asyncio.to_thread(again.ended) == 0
        assert await remembered(tmp_path, ["ann", "bob"]) == [["Likes green tea"]] * 2


def event(content: str) -> bytes:
    return b'data: {"choices":[{"index":0,"delta":{"content":%b}}]}\n\n' % json.dumps(content).encode()


def endless() -> Iterator[bytes]:
    return repeat(event("word " * 200) * 50)


class TestMemory:
    async def test_a_client_that_stops_reading_an_endless_answer_stops_the_upstream(self, start: Start, model: ModelAPI, client):
        stuck = asyncio.Event()

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers=SSE)
            await response.prepare(request)
            try:
                for piece in endless():
                    async with asyncio.timeout(1):
                        await response.write(piece)
            except TimeoutError:
                stuck.set()
            return response

        proxy = await start()
        model.handler = answer
        before = proxy.resident_bytes
        async with asking(client, proxy) as answering:
            answering.connection.transport.pause_reading()
            await stuck.wait()
            assert proxy.resident_bytes < before + 16 * MB


async def test_the_level_of_its_log_changes_while_it_runs(start: Start, client: aiohttp.ClientSession):
    proxy = await start()

    async def ask(method: str, path: str, tree: object = None) -> None:
        async with client.request(method, f"{proxy.address}{path}", json=tree) as answer:
            assert answer.status == 200

    for level in ("error", "debug"):
        await ask("GET", "/health/live")
        await ask("PATCH", "/memory/v1/config", {"log": {"level": level}})
    proxy.signal(signal.SIGTERM)
    await asyncio.to_thread(proxy.logged, "stopping")
    assert [(line["event"], line.get("method")) for line in proxy._log.news()] == [
        ("listening", None),
        ("request", "GET"),
        ("settings changed", None),
        # Silence, and then the answer that ended it.
        ("request", "PATCH"),
        ("stopping", None),
    ]
