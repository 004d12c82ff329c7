"""The whole proxy while its memories are moved to another embedding model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.cli import main
from proxy.core.models import Memory, Owner
from proxy.errors import StoreMismatch
from proxy.memory import clock
from proxy.memory.reembedding import PAGE
from proxy.memory.store import Entry
from tests.fakes import ModelAPI, RunningProxy, memory_proxy, model_api, word_vector
from tests.faults.qdrant_server import qdrant_server
from tests.memory.test_reembedding import letter_vector

HANG_S = 60

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")

QUESTION = "What am I up to on Sundays at the club?"
THINGS = ["oboe", "kayak", "pottery", "chess", "beekeeping", "sourdough", "judo", "origami"]


@dataclass
class Letters:
    """The other model's server: counts what it embeds, and stops before batch *stop_at* until *go_on* is set."""

    url: str = ""
    texts: list[str] = field(default_factory=list)
    batches: int = 0
    stop_at: int | None = None
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def embed(self, request: web.Request) -> web.Response:
        texts = (await request.json())["input"]
        if texts not in (["warm"], ["ready?"]):
            self.batches += 1
            if self.stop_at is not None and self.batches >= self.stop_at:
                self.stopped.set()
                await self.go_on.wait()
            self.texts += texts
        data = [{"object": "embedding", "index": i, "embedding": letter_vector(text)} for i, text in enumerate(texts)]
        return web.json_response({"object": "list", "model": "letters", "data": data, "usage": {}})


@asynccontextmanager
async def letters_api() -> AsyncIterator[Letters]:
    letters = Letters()
    app = web.Application()
    app.router.add_post("/v1/embeddings", letters.embed)
    async with TestServer(app) as server:
        letters.url = f"http://127.0.0.1:{server.port}/v1"
        yield letters


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
async def letters(stack: AsyncExitStack) -> Letters:
    return await stack.enter_async_context(letters_api())


@pytest.fixture
async def session(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


async def remember(proxy: RunningProxy, count: int) -> None:
    """Memories of *count* users: of each, one of ``THINGS``."""
    for number in range(count):
        content = f"Does {THINGS[number % len(THINGS)]} on Sundays at the club, as number {number}"
        made = Memory(f"{number:08x}-0000-4000-8000-000000000000", content, clock.now(), clock.now())
        await proxy.memory.store.upsert(Owner(f"user {number}"), [Entry(made, word_vector(content))])


@dataclass(frozen=True)
class Chatter:
    proxy: RunningProxy
    session: aiohttp.ClientSession

    async def ask(self, number: int) -> tuple[str, bool]:
        """The status of memory in a chat of a user, and whether their memory, and it alone, was shown."""
        body = {"model": "m", "messages": [{"role": "user", "content": QUESTION}]}
        async with self.session.post(
            f"{self.proxy.url}/chat/completions", json=body, headers={"X-Memory-User": f"user {number}"}
        ) as answer:
            assert answer.status == 200
        sent = self.proxy.model.last.body.decode()
        return answer.headers["X-Memory-Status"], [thing in sent for thing in THINGS] == [
            at == number % len(THINGS) for at in range(len(THINGS))
        ]

    async def ask_until(self, happened: Callable[[], bool]) -> set[tuple[str, bool]]:
        found, number = set(), 0
        async with asyncio.timeout(HANG_S):
            while not happened():
                found.add(await self.ask(number % 2 * 20 + 1))
                number += 1
        return found


async def call(proxy: RunningProxy, session: aiohttp.ClientSession, method: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    async with session.request(method, f"{proxy.address}/memory/v1/reembed", json=body) as answer:
        return answer.status, await answer.json()


def state(proxy: RunningProxy) -> str:
    return proxy.memory.reembedding.progress.state


def fresh(**options: object) -> dict[str, object]:
    """Every question is searched for, and what is under way ends soon."""
    return {"recall__keep_s": 0, "recall__deadline_ms": 2000, "recall__keep_turns": "false"} | options


@pytest.mark.parametrize("kind", ["edge", "qdrant"])
async def test_chats_are_answered_rightly_before_during_and_after(
    stack, model, letters, session, *, tmp_path: Path, kind: str
) -> None:
    wanted = {"model": "letters", "url": letters.url}
    server = await stack.enter_async_context(qdrant_server())
    on_store = {"store__kind": kind, "store__url": server.url}
    async with memory_proxy(model, tmp_path, **fresh(**on_store)) as proxy:
        await remember(proxy, 3 * PAGE)
        chatter = Chatter(proxy, session)
        assert await chatter.ask(1) == ("ok", True)
        letters.stop_at = 6
        assert await call(proxy, session, "POST", wanted) == (202, progress("running", done=0, total=0))
        assert await chatter.ask_until(letters.stopped.is_set) <= {("ok", True)}
        # In the middle: the old vectors are used, and what is told now has only those.
        assert await chatter.ask(20) == ("ok", True)
        assert letters.texts
        assert not [text for text in letters.texts if text == QUESTION]
        model.text = 'Noted.<memory>{"memories":[{"content":"Does judo on Sundays at the club"}]}</memory>'
        await chatter.ask(5000)
        assert await proxy.memories("user 5000") == ["Does judo on Sundays at the club"]
        model.text = "Hello"
        status, now = await call(proxy, session, "GET")
        assert (status, now["state"], 0 < now["done"] < now["total"]) == (200, "running", True)
        assert (await call(proxy, session, "POST", wanted))[0] == 409
        letters.go_on.set()
        assert await chatter.ask_until(lambda: state(proxy) == "done") <= {("ok", True)}
        # After: the new ones.
        total = 3 * PAGE + 1
        assert await call(proxy, session, "GET") == (200, progress("done", done=total, total=total))
        assert [await chatter.ask(number) for number in (1, 20, 21)] == [("ok", True)] * 3
        assert QUESTION in letters.texts
    with pytest.raises(
        StoreMismatch, match=r"holds vectors of 26 dimensions by letters \(openai\), but the embedding model words"
    ):
        await stack.enter_async_context(memory_proxy(model, tmp_path, **on_store))
    on_store |= {"embedding__model": "letters", "embedding__url": letters.url}
    async with memory_proxy(model, tmp_path, **fresh(**on_store)) as proxy:
        assert await Chatter(proxy, session).ask(20) == ("ok", True)
        assert await proxy.memories("user 5000") == ["Does judo on Sundays at the club"]


def progress(
    state: str | None, *, done: int, total: int, model: str | None = "letters", why: str | None = None
) -> dict[str, Any]:
    provider = model and "openai"
    return {
        "object": "reembedding", "state": state, "model": model, "provider": provider, "from": "words", "done": done,
        "total": total, "why": why,
    }  # fmt: skip


async def test_it_is_stopped_and_goes_on_after_a_restart_where_it_was(model, letters, session, tmp_path: Path) -> None:
    wanted = {"model": "letters", "url": letters.url}
    async with memory_proxy(model, tmp_path, **fresh()) as proxy:
        await remember(proxy, 3 * PAGE)
        assert await call(proxy, session, "GET") == (200, progress("none", model=None, done=0, total=0))
        letters.stop_at = 6
        await call(proxy, session, "POST", wanted)
        await letters.stopped.wait()
        status, now = await call(proxy, session, "DELETE")
        assert (status, now["state"], await Chatter(proxy, session).ask(3)) == (200, "stopped", ("ok", True))
    done = len({*letters.texts})
    letters.stop_at = None
    letters.go_on.set()
    async with memory_proxy(model, tmp_path, **fresh()) as proxy:
        assert await call(proxy, session, "GET") == (200, progress("stopped", done=0, total=0))
        assert await Chatter(proxy, session).ask(3) == ("ok", True)
        letters.texts.clear()
        await call(proxy, session, "POST", wanted)
        assert await Chatter(proxy, session).ask_until(lambda: state(proxy) == "done") <= {("ok", True)}
        assert await Chatter(proxy, session).ask(3) == ("ok", True)
    assert done >= 1


async def test_it_ends_with_the_proxy(model, letters, session, tmp_path: Path) -> None:
    async with memory_proxy(model, tmp_path) as proxy:
        await remember(proxy, 3)
        letters.stop_at = 1
        await call(proxy, session, "POST", {"model": "letters", "url": letters.url})
        await letters.stopped.wait()
    assert state(proxy) == "stopped"


async def test_a_model_that_is_not_there_changes_nothing(model, session, tmp_path: Path) -> None:
    async with memory_proxy(model, tmp_path, **fresh()) as proxy:
        await remember(proxy, 3)
        await call(proxy, session, "POST", {"model": "letters", "url": "http://127.0.0.1:9/v1"})
        while state(proxy) == "running":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        _, found = await call(proxy, session, "GET")
        assert found == progress("failed", done=0, total=0, why=found["why"])
        assert "Connection" in found["why"]
        assert await Chatter(proxy, session).ask(1) == ("ok", True)


async def test_what_is_asked_for_wrongly_is_named(model, session, tmp_path: Path) -> None:
    wrong: list[tuple[Any, str | None]] = [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 3}, "model"),
        ({"model": "a\nb"}, "model"),
        ({"model": "m", "provider": "magic"}, "provider"),
        ({"model": "m", "url": "ftp://x"}, "url"),
        ({"model": "m", "api_key_env": "NO_SUCH_VARIABLE"}, "api_key_env"),
        ({"model": "m", "speed": "fast"}, "speed"),
        ([], None),
    ]
    async with memory_proxy(model, tmp_path) as proxy:
        for body, param in wrong:
            status, found = await call(proxy, session, "POST", body)
            assert (status, found["error"]["param"], state(proxy)) == (400, param, "none")


async def test_the_command_line_follows_it_to_its_end(model, letters, tmp_path: Path, capsys) -> None:
    async with memory_proxy(model, tmp_path, auth__admin_token="s3kret") as proxy:
        await remember(proxy, 40)
        arguments = [
            "reembed",
            "--model",
            "letters",
            "--provider",
            "openai",
            "--embeddings-url",
            letters.url,
            "--url",
            proxy.address,
        ]
        assert await asyncio.to_thread(main, arguments) == 1
        assert "This needs the proxy's auth.admin_token" in capsys.readouterr().err
        assert await asyncio.to_thread(main, [*arguments, "--token", "s3kret"]) == 0
        assert capsys.readouterr().out.endswith("embedding:\n  provider: openai\n  model: letters\n")
        assert state(proxy) == "done"


async def test_who_stops_watching_does_not_stop_it(model, letters, tmp_path: Path, capsys, monkeypatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("proxy.cli.reembed.time.sleep", interrupt)
    async with memory_proxy(model, tmp_path) as proxy:
        await remember(proxy, 40)
        letters.stop_at = 1
        arguments = ["reembed", "--model", "letters", "--embeddings-url", letters.url, "--url", proxy.address]
        assert await asyncio.to_thread(main, arguments) == 130
        assert capsys.readouterr().out == (
            f"It goes on in the proxy at {proxy.address}; the same command shows its progress again.\n"
        )
        assert state(proxy) == "running"
        monkeypatch.undo()
        letters.go_on.set()
        assert await asyncio.to_thread(main, arguments) == 0
        assert state(proxy) == "done"
