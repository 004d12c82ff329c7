"""How long recall takes with 10,000 memories in the embedded store: of ten users, and of one."""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from time import perf_counter

from benchmarks import wire
from benchmarks.rows import Effort, Row, value
from benchmarks.servers import DIMENSIONS, made_up
from proxy import config
from proxy.core.models import Owner
from proxy.memory.embedding import open_embedder
from proxy.memory.recall import Asked, Recall
from proxy.memory.stores import open_store

MEMORIES = 10_000
QUERIES = 30


def lookup(effort: Effort) -> Iterator[Row]:
    yield from asyncio.run(_rows(effort))


async def _rows(effort: Effort) -> list[Row]:
    rows = []
    for users, bars in ((10, (12.0, 1.5)), (1, (None, None))):
        async with _filled(users, effort.of(MEMORIES)) as found:
            figure = f"recall, {users} × {effort.of(MEMORIES) // users:,} memories, embedding"
            with_embedding = [await _p50_ms(found, _questions(i, effort)) for i in range(effort.rounds)]
            without = [await _p50_ms(found, [wire.QUESTION] * effort.of(QUERIES)) for _ in range(effort.rounds)]
        rows += [
            value(f"{figure} included: p50", with_embedding, unit="ms", form=".2f", at_most=bars[0]),
            value(f"{figure} excluded (cached): p50", without, unit="ms", form=".2f", at_most=bars[1]),
        ]
    return rows


@asynccontextmanager
async def _filled(users: int, memories: int) -> AsyncIterator[Recall]:
    with tempfile.TemporaryDirectory() as folder:
        async with open_embedder(config.Embedding()) as embedder, open_store(config.Store(path=folder), DIMENSIONS) as store:
            for i in range(users):
                await store.upsert(_owner(i), made_up(memories // users, seed=i))
            found = Recall(store, embedder, config.Recall(min_score=0, deadline_ms=10_000))
            await found.recall(_owner(0), Asked(wire.QUESTION))  # from here on in the cache
            yield found


def _owner(i: int) -> Owner:
    return Owner(f"user-{i}")


def _questions(seed: int, effort: Effort) -> list[str]:
    """Questions of 20 words that nobody asked before."""
    source = random.Random(seed)
    return [" ".join(source.sample(wire.PROSE.split(), 20)) for _ in range(effort.of(QUERIES))]


async def _p50_ms(recall: Recall, questions: list[str]) -> float:
    return statistics.median([await _ms(recall, question) for question in questions])


async def _ms(recall: Recall, question: str) -> float:
    started = perf_counter()
    found = await recall.recall(_owner(0), Asked(question))
    if found.trouble or not found.notes:
        raise RuntimeError(found)
    return (perf_counter() - started) * 1000
