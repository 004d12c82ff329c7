"""What stands before the store and before the embedder: opens them, knows whether they work, and asks them only if they do.

While a part is out of order, a call fails at once. A task of the guard's own opens it and probes it, one probe at a time, so that it
comes back without traffic and no request pays for finding out. The log says once that a part is out of order, and once that it is back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    suppress,
)
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

import structlog

from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import ConfigError, EmbedError, MemoryProxyError, StoreError, StoreLocked, StoreMismatch
from proxy.memory.breaker import Breaker, Outage
from proxy.memory.embedder import Embedder, Load, Vector
from proxy.memory.health import Health
from proxy.memory.store import Entry, MemoryStore, Pick, Query, Records, Which

logger = structlog.get_logger()

FOR_WORDS_S = 0.05
"""What a slow embedder leaves of recall's deadline to the store, so that memories can still be found by their words."""


class _Part(Protocol):
    async def touch(self) -> None: ...


P = TypeVar("P", bound=_Part)


class Guard(Generic[P]):
    """The part that *opening* opens, at work inside ``running()``. Its calls fail with *error*.

    *patience_s*: a probe that takes longer has failed. *late_s*: a call that is given up after so long has failed, whoever gave it up.
    """

    def __init__(
        self,
        name: str,
        opening: Callable[[], AbstractAsyncContextManager[P]],
        *,
        error: type[MemoryProxyError],
        patience_s: float,
        late_s: float,
        breaker: Breaker,
    ) -> None:
        self.name = name
        self.part: P | None = None
        self.patience_s = patience_s
        self._late_s = late_s
        self._opening = opening
        self._error = error
        self._breaker = breaker
        self._known: Outage | None = None
        self._on_recovered: list[Callable[[], None]] = []
        self._on_degraded: list[Callable[[str], None]] = []
        self._well_since = datetime.now(UTC)
        self._changed = asyncio.Event()
        self._resources = AsyncExitStack()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Guard[P]]:
        """Raises what an operator must decide: ``StoreLocked``, ``StoreMismatch``, ``ConfigError``. Anything else can wait."""
        try:
            await self._first_probe()
            watching = asyncio.get_running_loop().create_task(self._watch())
            try:
                yield self
            finally:
                watching.cancel()
                await asyncio.wait([watching])
        finally:
            await self._resources.aclose()

    def replace(self, part: P, resources: AsyncExitStack) -> AsyncExitStack:
        """Have *part*, which *resources* will close, instead of the one so far; returned is what that one is closed with.

        Calls that are under way keep theirs. What it fails of from now on says nothing.
        """
        self.part = part
        former, self._resources = self._resources, resources
        return former

    @contextmanager
    def call(self, *, insist: bool = False) -> Iterator[P]:
        """The part, for one call. *insist*: even if it seems to be out of order, as nobody waits for this call."""
        outage = self._breaker.outage
        if self.part is None or (outage is not None and not insist):
            raise self._error(self._refusal(outage))
        began, part = self._breaker.clock(), self.part
        try:
            yield part
        except (StoreLocked, StoreMismatch):
            raise
        except self._error as exc:
            if self.part is part:
                self._failed(str(exc), began)
            raise
        except asyncio.CancelledError:
            if self.part is part and self._breaker.clock() - began >= self._late_s:
                self._failed(self.too_late, began)
            raise
        else:
            self._breaker.answered()

    def on_recovered(self, call: Callable[[], None]) -> None:
        """*call* whenever the part is in order again."""
        self._on_recovered.append(call)

    def on_degraded(self, call: Callable[[str], None]) -> None:
        """*call*, with the reason, whenever the part is out of order."""
        self._on_degraded.append(call)

    @property
    def health(self) -> Health:
        outage = self._breaker.outage
        return Health(since=self._well_since) if outage is None else Health(outage.why, self._time_of(outage))

    @property
    def too_late(self) -> str:
        return f"no answer within {self.patience_s * 1000:.0f} ms"

    def _refusal(self, outage: Outage | None) -> str:
        if outage is None:
            return f"the {self.name} is closed"
        return f"the {self.name} is out of order since {self._time_of(outage):%H:%M:%S} UTC: {outage.why}"

    def _time_of(self, outage: Outage) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=self._breaker.clock() - outage.since)

    def _failed(self, why: str, began: float) -> None:
        self._breaker.failed(why, began=began)
        self._changed.set()
        self._tell()

    async def _first_probe(self) -> None:
        """Without a limit of time: to load a model or to make a collection takes seconds."""
        try:
            await self._touch()
        except (StoreLocked, StoreMismatch, ConfigError):
            raise
        except MemoryProxyError as exc:
            self._breaker.probed(str(exc))
        self._tell()

    async def _watch(self) -> None:
        while True:
            self._changed.clear()
            wait_s = self._breaker.probe_in_s
            if wait_s > 0:
                # Not wait_for: before Python 3.12 it may miss that its task is cancelled.
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await self._changed.wait()
            else:
                await self._probe()

    async def _probe(self) -> None:
        """Ask, and wait for the end of it: while the part hangs so does this one, and no other joins it."""
        probe = asyncio.get_running_loop().create_task(self._trouble())
        try:
            done, _ = await asyncio.wait([probe], timeout=self.patience_s)
            self._breaker.probed(await probe if done else self.too_late)
            self._tell()
            await probe
        finally:
            probe.cancel()
            await asyncio.wait([probe])

    async def _trouble(self) -> str | None:
        """What a probe runs into. Nothing may end the task that makes them."""
        try:
            await self._touch()
        except MemoryProxyError as exc:
            return str(exc)
        except Exception as exc:
            logger.exception("a probe failed in an unexpected way", part=self.name)
            return f"{type(exc).__name__}: {exc}"
        return None

    async def _touch(self) -> None:
        if self.part is None:
            self.part = await self._resources.enter_async_context(self._opening())
        part = self.part
        try:
            await part.touch()
        except self._error:
            if self.part is part:
                raise
            await self.part.touch()  # it was replaced while it was asked

    def _tell(self) -> None:
        outage, known = self._breaker.outage, self._known
        self._known = outage
        if outage is None and known is not None:
            self._well_since = datetime.now(UTC)
            logger.warning("in order again", part=self.name, after_s=round(self._breaker.clock() - known.since, 1))
            for call in self._on_recovered:
                call()
        elif outage is not None and known is None:
            logger.error("out of order", part=self.name, why=outage.why)
            for tell in self._on_degraded:
                tell(outage.why)


Guards = Sequence[Guard[MemoryStore] | Guard[Embedder]]


class GuardedEmbedder:
    """An ``Embedder`` behind its guard. A query that takes too long fails; documents take the time that they take.

    Documents are asked for even if the embedder seems to be out of order: it may only be too slow for queries.
    """

    def __init__(self, guard: Guard[Embedder]) -> None:
        self._guard = guard

    @property
    def name(self) -> str:
        return self._guard.part.name if self._guard.part else "none"

    @property
    def dimensions(self) -> int:
        return self._guard.part.dimensions if self._guard.part else 0

    @property
    def load(self) -> Load:
        return self._guard.part.load if self._guard.part else Load()

    async def embed_query(self, text: str) -> Vector:
        """Of the model in use when it returns: who searches with it at once, awaiting nothing in between, searches its vectors."""
        while True:
            asked = self._guard.part
            try:
                vector = await self._embed_query(text)
            except EmbedError:
                if self._guard.part is asked:
                    raise
            else:
                if self._guard.part is asked:
                    return vector

    async def _embed_query(self, text: str) -> Vector:
        with self._guard.call() as embedder:
            try:
                async with asyncio.timeout(self._guard.patience_s):
                    return await embedder.embed_query(text)
            except TimeoutError:
                raise EmbedError(self._guard.too_late) from None

    async def embed_documents(self, texts: Sequence[str]) -> list[Vector]:
        with self._guard.call(insist=True) as embedder:
            return await embedder.embed_documents(texts)

    async def touch(self) -> None:
        with self._guard.call() as embedder:
            await embedder.touch()


class GuardedStore:
    """A ``MemoryStore`` behind its guard.

    *insist*: for writers and whoever else can wait. A store that is too slow to recall from can still be written to.
    """

    def __init__(self, guard: Guard[MemoryStore], *, insist: bool = False) -> None:
        self._guard = guard
        self._insist = insist

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        with self._call() as store:
            return await store.search(owner, query, limit=limit, pick=pick)

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        with self._call() as store:
            await store.upsert(owner, entries)

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        with self._call() as store:
            await store.revise(owner, memories)

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        with self._call() as store:
            return await store.get(owner, ids)

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        with self._call() as store:
            return await store.find(owner, contents, which)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        with self._call() as store:
            return await store.list(owner, which, limit=limit)

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        with self._call() as store:
            return await store.delete(owner, ids)

    async def erase(self, owner: Owner) -> int:
        with self._call() as store:
            return await store.erase(owner)

    async def purge(self) -> None:
        with self._call() as store:
            await store.purge()

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        with self._call() as store:
            return await store.count(owner, which)

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        with self._call() as store:
            return await store.owners_of(ids)

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        with self._call() as store:
            return await store.scan(after, limit=limit, whose=whose, vectors=vectors)

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        with self._call() as store:
            return await store.expired(since, until, after, limit=limit)

    async def touch(self) -> None:
        with self._call() as store:
            await store.touch()

    def _call(self) -> AbstractContextManager[MemoryStore]:
        return self._guard.call(insist=self._insist)


def guard_embedder(
    opening: Callable[[], AbstractAsyncContextManager[Embedder]], *, deadline_s: float, retry_s: float
) -> Guard[Embedder]:
    """It may take what *deadline_s* leaves when a search by words alone has its part."""
    patience_s = deadline_s - _for_words_s(deadline_s)
    breaker = Breaker(delay_s=retry_s)
    return Guard("embedder", opening, error=EmbedError, patience_s=patience_s, late_s=patience_s, breaker=breaker)


def guard_store(
    opening: Callable[[], AbstractAsyncContextManager[MemoryStore]], *, deadline_s: float, retry_s: float
) -> Guard[MemoryStore]:
    """Who gives it up earlier than after its part of *deadline_s* has other reasons."""
    late_s = 0.9 * _for_words_s(deadline_s)
    return Guard("store", opening, error=StoreError, patience_s=deadline_s, late_s=late_s, breaker=Breaker(delay_s=retry_s))


def _for_words_s(deadline_s: float) -> float:
    return min(FOR_WORDS_S, deadline_s / 2)
