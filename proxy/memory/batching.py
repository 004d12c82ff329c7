"""Between many callers and one model: an embedder that batches, remembers and shares.

    embed ─┬─ in the cache ────────────────────────────────────────→ its vector, at once
           ├─ same text waiting or under way ─→ joins that job ────→ its vector
           └─ new ─→ a job in the queue of its kind ─→ a worker takes a batch ─→ the model ─→ cache, and all who wait

A free worker takes whatever waits, up to a batch, queries first: a chat never stands behind an import.
A job belongs to nobody: who leaves takes only themselves away, and the last to leave takes a job that still waits out of
the queue, so that a model behind its time doesn't work for callers who have given up.
All of it runs on the event loop's thread; only the model may live elsewhere.
"""

from __future__ import annotations

import asyncio
import hashlib
from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from proxy.errors import EmbedError, map_exceptions
from proxy.memory.embedder import KINDS, Kind, Load, Vector

MAX_CHARS = 8192
"""What is embedded of a text. Models read less (256 tokens, say), but would first cut all of it into tokens."""

LOOK_AHEAD = 64
"""How far down the queue a batch looks for texts that are short enough to join it."""

Key = tuple[Kind, bytes]


class Model(Protocol):
    """What turns a batch into vectors: at most ``at_once`` batches at a time, of ``batch_chars`` when padded alike.

    ``symmetric``: a text has the same vector as a query and as a document.
    """

    dimensions: int
    symmetric: bool
    at_once: int
    batch_chars: int

    async def encode(self, kind: Kind, texts: Sequence[str]) -> list[Vector]: ...


class BatchingEmbedder:
    """An ``Embedder`` on top of any ``Model``, at work inside ``running()``."""

    def __init__(self, model: Model, *, name: str, batch_size: int, cache_entries: int) -> None:
        self.name = name
        self.dimensions = model.dimensions
        self._model = model
        self._batch_size = batch_size
        self._cache = _Cache(cache_entries)
        self._jobs: dict[Key, _Job] = {}
        self._queues: dict[Kind, dict[Key, _Job]] = {kind: {} for kind in KINDS}
        self._embedded: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._work_waits = asyncio.Event()
        self._is_running = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[BatchingEmbedder]:
        """On leaving, whoever still waits gets an ``EmbedError``."""
        loop = asyncio.get_running_loop()
        workers = [loop.create_task(self._work()) for _ in range(self._model.at_once)]
        self._is_running = True
        try:
            yield self
        finally:
            self._is_running = False
            for worker in workers:
                worker.cancel()
            await asyncio.wait(workers)
            self._fail(list(self._jobs.values()), EmbedError("the embedder was closed"))

    @property
    def load(self) -> Load:
        return Load({kind: len(queue) for kind, queue in self._queues.items()}, dict(self._embedded))

    async def embed_query(self, text: str) -> Vector:
        return await self._embed("query", text)

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        return list(await asyncio.gather(*(self._embed("document", text) for text in texts)))

    async def touch(self) -> None:
        """Past the cache and the queue: what is known says nothing about the model."""
        if not self._is_running:
            raise EmbedError("the embedder is closed")
        await self._encode([_Job(("query", b""), "ready?")])

    async def _embed(self, kind: Kind, text: str) -> Vector:
        # A lone surrogate, as JSON may spell it, would fail the batch, and with it the texts of others.
        data = text[:MAX_CHARS].encode("utf-8", "replace")
        # Texts can be long and the cache holds many: a digest bounds what an entry takes.
        key = (kind, hashlib.blake2b(data, digest_size=16).digest())
        vector = self._cache.get(self._cached_as(key))
        return vector if vector is not None else await self._wait_for(self._job(key, data))

    def _cached_as(self, key: Key) -> Key:
        """A message is looked for as a query, and a moment later kept as a document."""
        return ("document", key[1]) if self._model.symmetric else key

    def _job(self, key: Key, data: bytes) -> _Job:
        if not self._is_running:
            raise EmbedError("the embedder is closed")
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = self._queues[key[0]][key] = _Job(key, data.decode())
            self._work_waits.set()
        return job

    async def _wait_for(self, job: _Job) -> Vector:
        job.waiting += 1
        try:
            return await asyncio.shield(job.vector)
        finally:
            job.waiting -= 1
            if not job.waiting and job.key in self._queues[job.kind]:
                del self._queues[job.kind][job.key], self._jobs[job.key]

    async def _work(self) -> None:
        while await self._work_waits.wait():
            if batch := self._take():
                await self._run(batch)

    def _take(self) -> list[_Job]:
        """The next batch, out of its queue: the oldest job, and those near it that don't make it too large."""
        queue = next(filter(None, self._queues.values()), {})
        batch: list[_Job] = []
        for job in islice(queue.values(), LOOK_AHEAD):
            if len(batch) < self._batch_size and self._fits(job, batch):
                batch.append(job)
        for job in batch:
            del queue[job.key]
        if not any(self._queues.values()):
            self._work_waits.clear()
        return batch

    def _fits(self, job: _Job, batch: list[_Job]) -> bool:
        """The model pads every text of a batch to the longest, so that is what counts; a batch of one always fits."""
        longest = max(len(each.text) for each in [job, *batch])
        return not batch or longest * (len(batch) + 1) <= self._model.batch_chars

    async def _run(self, batch: list[_Job]) -> None:
        try:
            vectors = await self._encode(batch)
        except EmbedError as exc:
            self._fail(batch, exc)
            return
        self._embedded[batch[0].kind] += len(batch)
        for job, vector in zip(batch, vectors, strict=True):
            self._cache.put(self._cached_as(job.key), vector)
            del self._jobs[job.key]
            job.vector.set_result(vector)

    async def _encode(self, batch: list[_Job]) -> list[Vector]:
        with map_exceptions({Exception: EmbedError}):
            vectors = await self._model.encode(batch[0].kind, [job.text for job in batch])
        if [len(vector) for vector in vectors] != [self.dimensions] * len(batch):
            raise EmbedError(f"the model gave other than {len(batch)} vectors of {self.dimensions} dimensions")
        return vectors

    def _fail(self, jobs: list[_Job], error: EmbedError) -> None:
        for job in jobs:
            del self._jobs[job.key]
            self._queues[job.kind].pop(job.key, None)
            job.vector.set_exception(error)
            # Retrieved here, as all who waited may have left; asyncio would log it as never retrieved.
            job.vector.exception()


@dataclass(slots=True)
class _Job:
    """A text on its way to a vector, and how many callers wait for it."""

    key: Key
    text: str
    vector: asyncio.Future[Vector] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    waiting: int = 0

    @property
    def kind(self) -> Kind:
        return self.key[0]


class _Cache:
    """The vectors used last, at most *entries*; as arrays, which take a quarter of what lists of floats do."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._vectors: OrderedDict[Key, array[float]] = OrderedDict()

    def get(self, key: Key) -> Vector | None:
        vector = self._vectors.get(key)
        if vector is None:
            return None
        self._vectors.move_to_end(key)
        return vector.tolist()

    def put(self, key: Key, vector: Vector) -> None:
        self._vectors[key] = array("d", vector)
        if len(self._vectors) > self._entries:
            self._vectors.popitem(last=False)
