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


@dataclass(frozen=True, slots=True)
class Crowd:
    """*size* memories, as many of each of so many *users*."""

    size: int
    users: int

    @classmethod
    def of(cls, size: int) -> Crowd:
        """One each, at least."""
        return cls(size, min(USERS, size))

    def __str__(self) -> str:
        return f"{self.size:,}" if self.users == min(USERS, self.size) else f"{self.size:,} of {self.users:,} users"

    @property
    def each(self) -> int:
        return self.size // self.users

    def one(self, source: random.Random) -> Owner:
        return _owner(source.randrange(self.users))


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
    yield from _figures(*_measured([Crowd.of(effort.of(size)) for size in SIZES], effort))


def million(effort: Effort, _stage: Stage) -> Iterator[Figure]:
    """Its own row, as it needs some minutes, 3 GB of memory and as much of the disk.

    What a search takes depends on how many memories its user has, so there is also a small store in which each has as many.
    """
    large, small = Crowd.of(effort.of(MILLION)), Crowd.of(effort.of(SMALL))
    alike = Crowd(small.size, max(1, small.size // large.each))
    filled, found = _measured([small, alike, large], effort)
    yield from _figures(filled, found)
    yield ratio(f"recall at {large} by recall at {small}, p50", "×", found[large].p50_ms, found[small].p50_ms, at_most=3)
    yield ratio(f"… by recall at {alike}, with as many each, p50", "×", found[large].p50_ms, found[alike].p50_ms)
    per_million = 1_000_000 / large.size
    yield ours("disk, a million memories", "MB", found[large].disk_mb * per_million)
    taken = {"anonymous": [found[large].anonymous_mb * per_million], "mapped": [found[large].mapped_mb * per_million]}
    note = "anonymous: of the process's own; mapped: pages of the store's files, which the system takes back when it needs room"
    yield Figure("memory, a million memories", "MB", "anonymous", taken, note=note)


def _measured(crowds: Sequence[Crowd], effort: Effort) -> tuple[dict[Crowd, float], dict[Crowd, Found]]:
    """For each, memories written a second while filling, and what was found then."""
    with tempfile.TemporaryDirectory(prefix="memory-proxy-scale-") as folder:
        folders = {crowd: Path(folder) / str(i) for i, crowd in enumerate(crowds)}
        return apart(fill, folders), apart(ask, folders, effort.rounds, effort.of(QUERIES), effort.of(SINGLE))


def _figures(filled: dict[Crowd, float], found: dict[Crowd, Found]) -> Iterator[Figure]:
    largest = max(found, key=lambda crowd: crowd.size)

    def figure(name: str, unit: str, of: Callable[[Found], Sequence[float]], **more: Any) -> Figure:
        return Figure(name, unit, str(largest), {str(crowd): of(each) for crowd, each in found.items()}, **more)

    note = f"by number of memories, over {largest.users:,} users at most; embedding excluded"
    yield figure("recall, p50", "ms", lambda each: each.p50_ms, note=note)
    yield figure("recall, p99", "ms", lambda each: each.p99_ms)
    yield figure("memories written a second, one at a time", "/s", lambda each: each.upserts)
    bulk = {str(crowd): [rate] for crowd, rate in filled.items()}
    yield Figure("memories written a second, all of a user's at once", "/s", str(largest), bulk)
    yield figure("start: opening the store", "s", lambda each: [each.opened_s])
    yield figure("disk", "MB", lambda each: [each.disk_mb])


def apart(work: Callable[..., T], *arguments: object) -> T:
    """In a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def fill(folders: dict[Crowd, Path]) -> dict[Crowd, float]:
    return {crowd: asyncio.run(_filled(folder, crowd)) for crowd, folder in folders.items()}


async def _filled(folder: Path, crowd: Crowd) -> float:
    source, rng, seconds = random.Random(crowd.size), np.random.default_rng(crowd.size), 0.0
    async with open_store(config.Store(path=str(folder)), DIMENSIONS) as store:
        for i in range(crowd.users):
            entries = _made_up(crowd.each, source, rng)
            began = perf_counter()
            await store.upsert(_owner(i), entries)
            seconds += perf_counter() - began
    return crowd.each * crowd.users / seconds


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


def ask(folders: dict[Crowd, Path], rounds: int, queries: int, single: int) -> dict[Crowd, Found]:
    return asyncio.run(_asked(folders, rounds, queries, single))


async def _asked(folders: dict[Crowd, Path], rounds: int, queries: int, single: int) -> dict[Crowd, Found]:
    """All stores are open at the same time, and take turns."""
    async with AsyncExitStack() as stack:
        opened = {crowd: await _Opened.open(stack, folder, crowd, queries) for crowd, folder in folders.items()}
        for i in range(rounds):
            for each in opened.values():
                await each.round(queries, single, seed=i)
    return {crowd: each.found for crowd, each in opened.items()}


class _Opened:
    """A store at work, and what was found of it so far."""

    def __init__(self, store: MemoryStore, crowd: Crowd, found: Found) -> None:
        self._store = store
        self._crowd = crowd
        self._recall = Recall(store, _OneVector(), config.Recall(min_score=0, deadline_ms=60_000))
        self.found = found

    @classmethod
    async def open(cls, stack: AsyncExitStack, folder: Path, crowd: Crowd, queries: int) -> _Opened:
        found, before, began = Found(disk_mb=_disk_mb(folder)), _memory_mb(), perf_counter()
        opened = cls(await stack.enter_async_context(open_store(config.Store(path=str(folder)), DIMENSIONS)), crowd, found)
        found.opened_s = perf_counter() - began
        await opened.recall_ms(queries, seed=-1)
        found.anonymous_mb, found.mapped_mb = (now - then for now, then in zip(_memory_mb(), before, strict=True))
        return opened

    async def round(self, queries: int, single: int, *, seed: int) -> None:
        times = await self.recall_ms(queries, seed=seed)
        self.found.p50_ms.append(median(times))
        self.found.p99_ms.append(quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else times[0])
        self.found.upserts.append(await self._upserts(single, seed=seed))

    async def recall_ms(self, queries: int, *, seed: int) -> list[float]:
        """Of random users, each with the same words."""
        source, times = random.Random(seed), []
        for _ in range(queries):
            owner, began = self._crowd.one(source), perf_counter()
            found = await self._recall.recall(owner, Asked(wire.QUESTION))
            times.append((perf_counter() - began) * 1000)
            if found.trouble or not found.notes:
                raise RuntimeError(found.trouble or "nothing was found")
        return times

    async def _upserts(self, count: int, *, seed: int) -> float:
        source = random.Random(f"{self._crowd} {seed}")
        entries = _made_up(count, source, np.random.default_rng(seed))
        began = perf_counter()
        for each in entries:
            await self._store.upsert(self._crowd.one(source), [each])
        return count / (perf_counter() - began)


def _disk_mb(folder: Path) -> float:
    """What is taken of the disk: files have holes."""
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file()) / 1e6


def _memory_mb() -> tuple[float, float]:
    return status("self", "RssAnon") / 1e6, status("self", "RssFile") / 1e6
