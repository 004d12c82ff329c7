"""A proxy with something broken: its chats must be answered as if it had no memory, and say what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.typing import EventDict

from proxy.memory.journal import Counts
from tests.fakes import ModelAPI, RunningProxy, memory_proxy, model_api
from tests.processes import ProxyProcess

HANG_S = 60
"""A guard against a test that hangs; nothing is expected to take this long."""

HIDDEN = b'"delta": {"content": ""}'
OK, OUT_OF_ORDER = "ok", "out of order"
STORE, EMBEDDER, DEADLINE = (f"degraded; reason={part}" for part in ("store", "embedder", "deadline"))

Start = Callable[..., Awaitable[RunningProxy]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    """Ends its answers with a block if it is asked to, as models do."""
    model = await stack.enter_async_context(model_api())
    model.handler = Obliging(model).answer
    return model


@pytest.fixture
def start(stack: AsyncExitStack, model: ModelAPI, tmp_path: Path) -> Start:
    """Start a proxy in front of *model*, with its data in the test's folder."""

    async def start(**options: object) -> RunningProxy:
        return await stack.enter_async_context(memory_proxy(model, tmp_path, **{"recall__retry_s": 0.05} | options))

    return start


@pytest.fixture
async def client(stack: AsyncExitStack) -> Client:
    return Client(await stack.enter_async_context(aiohttp.ClientSession(auto_decompress=False)))


@dataclass(frozen=True)
class Obliging:
    """Says that it has noted what its user likes, by which it is called, and if it is asked to, does so in a *block*."""

    model: ModelAPI
    block: str = '{"memories":[{"content":"Likes LIKED"}]}'

    async def answer(self, request: web.Request) -> web.StreamResponse:
        asked = self.model.last.json
        block = f"\n<memory>{self.block.replace('LIKED', asked['model'])}</memory>"
        self.model.text = "Noted." + (block if "<memory>" in str(asked["messages"]) else "")
        return await self.model._stream(request, asked) if asked.get("stream") else self.model._whole(asked)


@dataclass(frozen=True)
class Answer:
    """What a client has *seen*: the status, the kind, and each event but for those of which all was hidden."""

    seen: tuple[object, ...]
    status: str
    extract: str


@dataclass(frozen=True)
class Client:
    session: aiohttp.ClientSession

    async def chat(
        self, proxy: RunningProxy | ProxyProcess, liked: str = "tea", *, user: str = "ann", stream: bool = True
    ) -> str:
        """``X-Memory-Status`` of a chat whose answer is the one of a chat without memory, to the byte."""
        with_memory = await self._ask(proxy.address, liked, user, "full", stream=stream)
        without = await self._ask(proxy.address, liked, user, "off", stream=stream)
        assert with_memory.seen == without.seen
        assert with_memory.extract == "inline"
        return with_memory.status

    async def _ask(self, address: str, liked: str, user: str, mode: str, *, stream: bool) -> Answer:
        body = {"model": liked, "stream": stream, "messages": [{"role": "user", "content": f"I like {liked}"}]}
        headers = {"X-Memory-User": user, "X-Memory-Mode": mode}
        async with self.session.post(f"{address}/v1/chat/completions", json=body, headers=headers) as answer:
            data, told = await answer.read(), answer.headers
            seen = (answer.status, told["Content-Type"], *(each for each in data.split(b"\n\n") if HIDDEN not in each))
            return Answer(seen, told["X-Memory-Status"], told.get("X-Memory-Extract", ""))

    async def ready(self, proxy: RunningProxy | ProxyProcess) -> dict[str, Any]:
        async with self.session.get(f"{proxy.address}/health/ready") as answer:
            return {name: check["state"] for name, check in (await answer.json())["checks"].items()}


async def stored(proxy: RunningProxy, user: str = "ann") -> list[str]:
    """What *user* likes when the journal is empty: what failed once is tried again after a while."""
    while await proxy.memory.remember.journal.counts() != Counts():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return [each.removeprefix("Likes ") for each in await proxy.memories(user)]


def back(proxy: RunningProxy) -> Callable[[], Awaitable[object]]:
    """Waits until a part that is out of order is in order again, if that comes after this call."""
    recovered = asyncio.Event()
    for guard in proxy.memory.guards:
        guard.on_recovered(recovered.set)
    return recovered.wait


def outages(log: list[EventDict]) -> list[tuple[str, str]]:
    return [(line["event"], line["part"]) for line in log if "part" in line]
