"""What a block leaves on the disk, and when: through the whole proxy."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from proxy.memory.journal import Counts
from tests.fakes import ABOUT_TEA, ModelAPI, memory_proxy, model_api

HANG_S = 60
NOTED = f"Noted.\n{ABOUT_TEA}"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}]}
HEADERS = {"X-Memory-User": "ann"}


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
async def session(stack: AsyncExitStack) -> aiohttp.ClientSession:
    return await stack.enter_async_context(aiohttp.ClientSession())


def files(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in folder.glob("journal.sqlite3*"))


async def test_a_block_is_on_the_disk_before_what_follows_it_has_left(stack, model, session, tmp_path):
    proxy = await stack.enter_async_context(memory_proxy(model, tmp_path))
    model.text = NOTED
    model.pause_at = len(model.events()) - 2  # before the finish chunk
    async with session.post(f"{proxy.url}/chat/completions", json=CHAT | {"stream": True}, headers=HEADERS) as answer:
        await model.paused.wait()
        while await proxy.memory.remember.journal.counts() != Counts(waiting=1):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert b"Likes green tea" in files(tmp_path)
        model.go_on.set()
        assert (await answer.read()).endswith(b"data: [DONE]\n\n")
    assert await proxy.memories("ann") == ["Likes green tea"]
    assert await proxy.memory.remember.journal.counts() == Counts()


@pytest.mark.parametrize("stream", [False, True])
async def test_the_end_of_the_answer_waits_for_the_disk(stack, model, session, tmp_path, stream: bool):
    proxy = await stack.enter_async_context(memory_proxy(model, tmp_path, journal__deadline_ms=60_000))
    model.text = NOTED
    journal, append = proxy.memory.remember.journal, proxy.memory.remember.journal.append
    asked, written = asyncio.Event(), asyncio.get_running_loop().create_future()

    def slow(*args, ready: bool, **kwargs):
        append(*args, ready=ready, **kwargs)
        asked.set()
        return written

    journal.append = slow
    asking = asyncio.ensure_future(_ask(session, proxy.url, stream=stream))
    await asked.wait()
    await asyncio.sleep(0.05)
    assert not asking.done()
    written.set_result(None)
    await asking


async def _ask(session: aiohttp.ClientSession, url: str, *, stream: bool) -> bytes:
    async with session.post(f"{url}/chat/completions", json=CHAT | {"stream": stream}, headers=HEADERS) as answer:
        return await answer.read()


async def test_what_a_start_finds_in_the_journal_is_remembered(stack, model, session, tmp_path):
    model.text = NOTED
    async with memory_proxy(model, tmp_path) as proxy:
        model.embeds = False
        await _ask(session, proxy.url, stream=True)
        await proxy.settled()
        assert (await proxy.memory.remember.journal.counts()).waiting == 1
    model.embeds = True
    async with memory_proxy(model, tmp_path) as proxy:
        assert await proxy.memories("ann") == ["Likes green tea"]


async def test_it_can_be_switched_off_or_put_elsewhere(model, session, tmp_path):
    model.text = NOTED
    async with memory_proxy(model, tmp_path / "off", journal__enabled=False) as proxy:
        await _ask(session, proxy.url, stream=True)
        assert await proxy.memories("ann") == ["Likes green tea"]
    async with memory_proxy(model, tmp_path / "data", journal__path=tmp_path / "elsewhere.sqlite3") as proxy:
        await _ask(session, proxy.url, stream=True)
        assert await proxy.memories("ann") == ["Likes green tea"]
    assert [each.name for each in tmp_path.rglob("*.sqlite3")] == ["elsewhere.sqlite3"]
    with sqlite3.connect(tmp_path / "elsewhere.sqlite3") as connection:
        assert connection.execute("SELECT count(*) FROM entries").fetchone() == (0,)
    connection.close()
