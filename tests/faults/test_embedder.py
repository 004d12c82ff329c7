"""An embedder that fails, hangs or is not there: memories are found by their words, and what is told is stored when it is back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from tests.fakes import word_vector
from tests.faults.conftest import EMBEDDER, OK, OUT_OF_ORDER, STORE, back, outages, stored
from tests.faults.moods import ILL, Mood, well

DEADLINE_MS = 300


class Embeddings:
    """A server of them that does with each answer as its *mood* is, on a port of its own, also after ``stop`` and ``listen``."""

    def __init__(self) -> None:
        self.mood: Mood = well
        self._port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/v1"

    async def listen(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/embeddings", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        texts = json.loads(await request.read())["input"]
        data = [{"object": "embedding", "index": i, "embedding": word_vector(text)} for i, text in enumerate(texts)]
        return await self.mood(request, web.json_response({"object": "list", "model": "words", "data": data, "usage": {}}))


@asynccontextmanager
async def listening() -> AsyncIterator[Embeddings]:
    server = Embeddings()
    await server.listen()
    try:
        yield server
    finally:
        await server.stop()


@pytest.fixture
async def embeddings(stack) -> Embeddings:
    return await stack.enter_async_context(listening())


@pytest.fixture
def start_with(start, embeddings: Embeddings):
    async def start_with():
        options = {"embedding__url": embeddings.url, "embedding__timeout_s": 1, "embedding__cache_entries": 0}
        return await start(recall__deadline_ms=DEADLINE_MS, recall__keep_s=0, **options)

    return start_with


@pytest.mark.parametrize("mood", ILL, ids=lambda mood: mood.__name__)
async def test_an_embedder_that_falls_ill_costs_no_answer_and_no_memory(mood: Mood, embeddings, start_with, client, log):
    proxy = await start_with()
    assert await client.chat(proxy) == "ok"
    await proxy.settled()
    embeddings.mood = mood
    assert [await client.chat(proxy, liked) for liked in ("kiwis", "limes", "plums", "pears")] == [EMBEDDER] * 4
    assert await client.chat(proxy, "tea", stream=False) == EMBEDDER
    assert b"Likes tea" in proxy.model.seen[-2].body
    assert await client.ready(proxy) == {"store": OK, "embedder": OUT_OF_ORDER, "journal": OK}
    recovered = back(proxy)
    embeddings.mood = well
    await recovered()
    assert await client.ready(proxy) == {"store": OK, "embedder": OK, "journal": OK}
    assert await stored(proxy) == ["kiwis", "limes", "pears", "plums", "tea"]
    assert await client.chat(proxy) == "ok"
    assert outages(log) == [("out of order", "embedder"), ("in order again", "embedder")]


async def test_one_that_is_missing_at_the_start_is_found_when_it_comes(embeddings, start_with, client, log):
    """Until then nobody knows what vectors the store is to have."""
    await embeddings.stop()
    proxy = await start_with()
    assert await client.chat(proxy, "tea") == STORE
    assert await client.chat(proxy, "figs", stream=False) == STORE
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OUT_OF_ORDER, "journal": OK}
    await embeddings.listen()
    assert await stored(proxy) == ["figs", "tea"]
    assert await client.chat(proxy) == "ok"
    assert [event for event, _ in outages(log)] == ["out of order", "out of order", "in order again", "in order again"]
