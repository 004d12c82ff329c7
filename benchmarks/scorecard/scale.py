"""How the embedded store does with many memories: random vectors, spread over 10,000 users, one recall at a time.

Filling and asking are in processes of their own, so that what they take of the machine can be told.
Embedding is left out: a question's vector doesn't depend on how many memories there are.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

from benchmarks import wire
from benchmarks.rows import Effort
from benchmarks.scorecard.figures import Figure, ours, ratio
from benchmarks.scorecard.stage import Stage
from benchmarks.scorecard.system import status
from benchmarks.servers import DIMENSIONS
from proxy import config
from proxy.core.models import Memory, Owner
from proxy.memory.embedder import Vector
from proxy.memory.recall import Asked, Recall
from proxy.memory.store import Entry, MemoryStore
from proxy.memory.stores import open_store

USERS = 10_000
SIZES = (1_000, 10_000, 100_000)
SMALL, MILLION = 10_000, 1_000_000
QUERIES = 500
SINGLE = 200
WORDS = wire.PROSE.split()
T = TypeVar("T")


@dataclass(slots=True)
class Found:
    """Of one store: *p50_ms*, *p99_ms* and *upserts* (a second, one at a time) by round. Sizes in MB."""

    opened_s: float = 0.0
    disk_mb: float = 0.0
    anonymous_mb: float = 0.0
    mapped_mb: float = 0.0
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    upserts: list[float] = field(default_factory=list)


def scale(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    sizes = [effort.of(size) for size in SIZES]
    filled, found = _measured(sizes, effort)
    yield from _figures(filled, found)


def million(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Its own row, as it needs some minutes, 3 GB of memory and as much of the disk."""
    sizes = [effort.of(SMALL), effort.of(MILLION)]
    filled, found = _measured(sizes, effort)
    yield from _figures(filled, found)
    small, large = (found[size] for size in sizes)
    name = f"recall at {sizes[1]:,} by recall at {sizes[0]:,}, p50"
    yield ratio(name, "×", large.p50_ms, small.p50_ms, at_most=3)
    per_million = 1_000_000 / sizes[1]
    yield ours("disk, a million memories", "MB", large.disk_mb * per_million)
    note = "anonymous: of the process's own; mapped: pages of the store's files, which the system takes back when it needs room"
    yield Figure(
        "memory, a million memories",
        "MB",
        "anonymous",
        {"anonymous": [large.anonymous_mb * per_million], "mapped": [large.mapped_mb * per_million]},
        note=note,
    )


def _measured(sizes: Sequence[int], effort: Effort) -> tuple[dict[int, float], dict[int, Found]]:
    """By size: memories written a second while filling, and what was found then."""
    with tempfile.TemporaryDirectory(prefix="memory-proxy-scale-") as folder:
        folders = {size: Path(folder) / str(size) for size in sizes}
        return apart(_fill, folders), apart(_ask, folders, effort.rounds, effort.of(QUERIES), effort.of(SINGLE))


def _figures(filled: dict[int, float], found: dict[int, Found]) -> Iterator[Figure]:
    largest = f"{max(found):,}"

    def figure(name: str, unit: str, of: Callable[[Found], Sequence[float]], **more: Any) -> Figure:
        return Figure(name, unit, largest, {f"{size:,}": of(each) for size, each in found.items()}, **more)

    note = f"by number of memories, over {min(USERS, max(found)):,} users; embedding excluded"
    yield figure("recall, p50", "ms", lambda each: each.p50_ms, note=note)
    yield figure("recall, p99", "ms", lambda each: each.p99_ms)
    yield figure("memories written a second, one at a time", "/s", lambda each: each.upserts)
    bulk = {f"{size:,}": [rate] for size, rate in filled.items()}
    yield Figure("memories written a second, all of a user's at once", "/s", largest, bulk)
    yield figure("start: opening the store", "s", lambda each: [each.opened_s])
    yield figure("disk", "MB", lambda each: [each.disk_mb])


def apart(work: Callable[..., T], *arguments: object) -> T:
    """In a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _fill(folders: dict[int, Path]) -> dict[int, float]:
    return {size: asyncio.run(_filled(folder, size)) for size, folder in folders.items()}


async def _filled(folder: Path, size: int) -> float:
    users, source, rng = min(USERS, size), random.Random(size), np.random.default_rng(size)
    seconds = 0.0
    async with open_store(config.Store(path=str(folder)), DIMENSIONS) as store:
        for i in range(users):
            entries = _made_up(size // users, source, rng)
            began = perf_counter()
            await store.upsert(_owner(i), entries)
            seconds += perf_counter() - began
    return size // users * users / seconds


def _made_up(count: int, source: random.Random, rng: np.random.Generator) -> list[Entry]:
    now = datetime.now(UTC)
    return [
        Entry(
            Memory(str(uuid.UUID(int=source.getrandbits(128), version=4)), " ".join(source.choices(WORDS, k=12)), now, now),
            vector,
        )
        for vector in rng.random((count, DIMENSIONS), dtype=np.float32).tolist()  # of which none is unlike another
    ]


def _owner(i: int) -> Owner:
    return Owner(f"user-{i}")


class _OneVector:
    """An ``Embedder`` that knows one vector."""

    name, dimensions = "one vector", DIMENSIONS

    def __init__(self) -> None:
        self._vector: list[float] = np.random.default_rng(0).random(DIMENSIONS).tolist()

    async def embed_query(self, _text: str) -> Vector:
        return self._vector

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        return [self._vector for _ in texts]

    async def touch(self) -> None:
        pass


def _ask(folders: dict[int, Path], rounds: int, queries: int, single: int) -> dict[int, Found]:
    return asyncio.run(_asked(folders, rounds, queries, single))


async def _asked(folders: dict[int, Path], rounds: int, queries: int, single: int) -> dict[int, Found]:
    """All stores are open at the same time, and take turns."""
    found = {size: Found(disk_mb=_disk_mb(folder)) for size, folder in folders.items()}
    async with AsyncExitStack() as stack:
        stores, recalls = {}, {}
        for size, folder in folders.items():
            before, began = _memory_mb(), perf_counter()
            stores[size] = await stack.enter_async_context(open_store(config.Store(path=str(folder)), DIMENSIONS))
            found[size].opened_s = perf_counter() - began
            recalls[size] = Recall(stores[size], _OneVector(), config.Recall(min_score=0, deadline_ms=60_000))
            await _recall_ms(recalls[size], size, queries, seed=-1)
            anonymous, mapped = _memory_mb()
            found[size].anonymous_mb, found[size].mapped_mb = anonymous - before[0], mapped - before[1]
        for i in range(rounds):
            for size, each in found.items():
                times = await _recall_ms(recalls[size], size, queries, seed=i)
                each.p50_ms.append(median(times))
                each.p99_ms.append(quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else times[0])
                each.upserts.append(await _upserts(stores[size], size, single, seed=i))
    return found


async def _recall_ms(recall: Recall, size: int, queries: int, *, seed: int) -> list[float]:
    """Of random users, each with the same words."""
    source, times = random.Random(seed), []
    for _ in range(queries):
        owner, began = _owner(source.randrange(min(USERS, size))), perf_counter()
        found = await recall.recall(owner, Asked(wire.QUESTION))
        times.append((perf_counter() - began) * 1000)
        if found.trouble or not found.notes:
            raise RuntimeError(found.trouble or "nothing was found")
    return times


async def _upserts(store: MemoryStore, size: int, count: int, *, seed: int) -> float:
    source = random.Random(f"{size} {seed}")
    entries = _made_up(count, source, np.random.default_rng(seed))
    began = perf_counter()
    for each in entries:
        await store.upsert(_owner(source.randrange(min(USERS, size))), [each])
    return count / (perf_counter() - began)


def _disk_mb(folder: Path) -> float:
    """What is taken of the disk: files have holes."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e6


def _memory_mb() -> tuple[float, float]:
    return status("self", "RssAnon") / 1e6, status("self", "RssFile") / 1e6
