"""The store and the embedder as everybody else has them: each behind its guard, there or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from proxy.config import Config
from proxy.errors import StoreError
from proxy.memory.embedder import Embedder
from proxy.memory.embedding import open_embedder
from proxy.memory.guarded import Guard, GuardedEmbedder, GuardedStore, Guards, guard_embedder, guard_store
from proxy.memory.recent import RecentSearches
from proxy.memory.reembedding import Reembeddable
from proxy.memory.store import MemoryStore
from proxy.memory.stores import open_store


@dataclass(frozen=True, slots=True)
class Engine:
    """*store* is for those who can wait, *recall_store* for those who can't. *points*: how many the store has, if it is in order.

    Where the store is re-embedded, it and *embedder* turn at once.
    """

    store: MemoryStore
    recall_store: MemoryStore
    embedder: Embedder
    guards: Guards
    points: Callable[[], Awaitable[int | None]]
    opened: Opened

    def reembeddable(self) -> Reembeddable:
        """The store itself. Raises ``StoreError`` while it is not open."""
        return self.opened.store()

    def use(self, embedder: Embedder, resources: AsyncExitStack) -> AsyncExitStack:
        """Use *embedder* from now on, closed with *resources*; what the one before is closed with. Returns at once."""
        return self.opened.use(embedder, resources)


class Opened:
    """The store behind its guard, and the guard of the embedder."""

    def __init__(self, embedder: Guard[Embedder]) -> None:
        self._embedder = embedder
        self._store: Reembeddable | None = None
        self._recent: RecentSearches | None = None

    def behind(self, store: Reembeddable, *, keep_s: float) -> RecentSearches:
        """What stands before *store*."""
        self._store, self._recent = store, RecentSearches(store, seconds=keep_s)
        return self._recent

    def store(self) -> Reembeddable:
        if self._store is None:
            raise StoreError("the store is not open; /health/ready says why")
        return self._store

    def use(self, embedder: Embedder, resources: AsyncExitStack) -> AsyncExitStack:
        if self._recent is not None:
            self._recent.forget()
        return self._embedder.replace(embedder, resources)


@asynccontextmanager
async def open_engine(config: Config) -> AsyncIterator[Engine]:
    """Whatever can't be opened now is tried again, in the background; only what an operator must decide stops the start.

    Raises ``StoreLocked``, ``StoreMismatch`` or ``ConfigError``.
    """

    @asynccontextmanager
    async def opening_store() -> AsyncIterator[MemoryStore]:
        async with open_store(config.store, _dimensions(embedder), config.embedding) as store:
            yield opened.behind(store, keep_s=config.recall.keep_s)

    deadline_s, retry_s = config.recall.deadline_ms / 1000, config.recall.retry_s
    embedder = guard_embedder(lambda: open_embedder(config.embedding), deadline_s=deadline_s, retry_s=retry_s)
    opened = Opened(embedder)
    store = guard_store(opening_store, deadline_s=deadline_s, retry_s=retry_s)
    async with embedder.running(), store.running():
        patient, hasty = GuardedStore(store, insist=True), GuardedStore(store)
        yield Engine(patient, hasty, GuardedEmbedder(embedder), (store, embedder), partial(_points, store), opened)


async def _points(guard: Guard[MemoryStore]) -> int | None:
    """Past the guard's door: whoever asks for a figure may leave early, and that says nothing about the store."""
    return await guard.part.count(None) if guard.part is not None and guard.health.well else None


def _dimensions(embedder: Guard[Embedder]) -> int:
    if embedder.part is None:
        raise StoreError(f"the embedder is missing: {embedder.health.why}")
    return embedder.part.dimensions
