"""The memory API with 100,000 memories of 1,000 users: a page of a list, a search, an export of everything, and imports.

Through HTTP, in a process of its own. ``search`` asks for the same words again and again, so that its vector is in the cache: what is
measured is the store and the API. Imports are counted twice: with vectors that come along, and against the embedder alone.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import httpx
import orjson

from benchmarks import wire
from benchmarks.processes import Process, process
from benchmarks.rows import Effort, Row, ratio, speed, value
from benchmarks.servers import DIMENSIONS, made_up, serve_stored
from proxy import config
from proxy.app import new_event_loop
from proxy.core.models import Owner
from proxy.memory.embedding import open_embedder
from proxy.memory.stores import open_store

MEMORIES = 100_000
USERS = 1000
CALLS = 200
BROUGHT = 2000
SLICE = 500
LINES = {"Content-Type": "application/x-ndjson"}


def library(effort: Effort) -> Iterator[Row]:
    memories, users = effort.of(MEMORIES), effort.of(USERS)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(folder, memories, users))
        with process(serve_stored, folder, loop_factory=new_event_loop) as server, _client(server) as client:
            yield from _rows(client, effort, memories, users)


def _client(server: Process) -> httpx.Client:
    return httpx.Client(base_url=f"{server.started().address}/memory/v1", timeout=120)


async def fill(folder: str, memories: int, users: int) -> None:
    async with open_store(config.Store(path=folder), DIMENSIONS) as store:
        for i in range(users):
            await store.upsert(Owner(f"user-{i}"), made_up(memories // users, seed=i))


def _rows(client: httpx.Client, effort: Effort, memories: int, users: int) -> Iterator[Row]:
    of_all = f"{memories:,} memories of {users:,} users"
    names = [f"user-{random.Random(i).randrange(users)}" for i in range(effort.of(CALLS))]
    _search(client, names[0])  # from here on its vector is in the cache
    listed = [statistics.median(_ms(partial(_list, client, name)) for name in names) for _ in range(effort.rounds)]
    found = [statistics.median(_ms(partial(_search, client, name)) for name in names) for _ in range(effort.rounds)]
    yield value(f"{of_all}: a page of 50, p50", listed, unit="ms", form=".2f", at_most=5)
    yield value("… a search, embedding excluded, p50", found, unit="ms", form=".2f", at_most=5)
    exports = [_export(client, vectors=False) for _ in range(min(3, effort.rounds))]
    rates = [len(lines) / seconds for lines, seconds in exports]
    yield speed("… export of everything", rates, unit="memories/s", at_least=20_000)
    lines, _ = _export(client, vectors=True)
    yield speed("… import with vectors", [_import(client, lines[: effort.of(20_000)]) for _ in range(3)], unit="memories/s")
    yield _against_the_embedder(client, effort)


def _list(client: httpx.Client, user: str) -> None:
    page = client.get("/memories", params={"user": user, "limit": 50}).raise_for_status().json()
    assert len(page["data"]) == 50, page


def _search(client: httpx.Client, user: str) -> None:
    found = client.post("/search", json={"user": user, "query": wire.QUESTION, "min_score": 0}).raise_for_status().json()
    assert len(found["data"]) == 10, found


def _ms(call: Callable[[], None]) -> float:
    started = perf_counter()
    call()
    return (perf_counter() - started) * 1000


def _export(client: httpx.Client, *, vectors: bool) -> tuple[list[bytes], float]:
    """The lines, and how many seconds they took."""
    started = perf_counter()
    body = client.get("/export", params={"all": "true", "vectors": str(vectors).lower()}).raise_for_status().content
    return body.splitlines(keepends=True), perf_counter() - started


def _import(client: httpx.Client, lines: list[bytes]) -> float:
    """Memories in a second."""
    started = perf_counter()
    for start in range(0, len(lines), SLICE):
        client.post("/import", content=b"".join(lines[start : start + SLICE]), headers=LINES).raise_for_status()
    return len(lines) / (perf_counter() - started)


def _against_the_embedder(client: httpx.Client, effort: Effort) -> Row:
    rounds = []
    for i in range(min(3, effort.rounds)):
        texts = [each.memory.content for each in made_up(effort.of(BROUGHT), seed=1_000_000 + i)]
        alone = asyncio.run(_embed(texts))
        now = "2026-03-01T12:00:00Z"
        lines = [
            orjson.dumps(
                {
                    **_LINE,
                    "id": str(each.memory.id),
                    "content": each.memory.content,
                    "created_at": now,
                    "updated_at": now,
                    "valid_from": now,
                }
            )
            + b"\n"
            for each in made_up(effort.of(BROUGHT), seed=2_000_000 + i)
        ]
        rounds.append((alone * 1000, len(lines) / _import(client, lines) * 1000))
    return ratio("… import that embeds, against the embedder alone", rounds, unit="ms", at_most=1.2)


_LINE = {
    "user": "brought",
    "category": "fact",
    "type": "semantic",
    "importance": 0.5,
    "session": None,
    "scope": "user",
    "metadata": {},
    "valid_until": None,
    "replaces": None,
    "conflicts": [],
    "access_count": 0,
    "last_accessed_at": None,
    "source": "import",
}


async def _embed(texts: list[str]) -> float:
    async with open_embedder(config.Embedding()) as embedder:
        started = perf_counter()
        await embedder.embed_documents(texts)
        return perf_counter() - started
