"""Moving a store to another embedding model, while it is used.

    1  a second vector, for the new model, is added to the collection, and that is noted         ``prepare``
    2  page by page, whatever lacks it gets it; chats go first                                   ``Refill``
    3  what is written meanwhile has the old vector alone, and is found by the next pass
    4  while nobody writes, the last few are filled, and that the new vector is whole is noted   ``adopt``
    5  in the same step of the event loop, searches and writes turn to it and to its embedder
    6  searches that were under way end, and the old vector is dropped                           ``drop_others``

Until 4 the store is one of the old model, whatever ends the process: the next start serves with that, and the job goes on where it
was when it is asked for again. From 4 on it is one of the new model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

import structlog

from proxy.config import Embedding
from proxy.core.models import Memory
from proxy.errors import Conflict, EmbedError, MemoryProxyError, StoreError, StoreLocked, StoreMismatch
from proxy.memory.embedder import Embedder, Vector
from proxy.memory.embedding import open_embedder
from proxy.memory.indexing import dense_text, dense_vector
from proxy.memory.neighbours import neighbours
from proxy.memory.spaces import Space, Spaces, space_of
from proxy.memory.store import MemoryStore, Records

PAGE = 32
"""Points: their texts, and those beside turns, are one to a few batches of the embedder."""

BREATH_S = 0.005
"""The pause between pages, in which others have the store and the event loop."""

PATIENCE_S = 1.0
"""The longest that a page waits for chats to be done: under constant load the job must come to an end too."""

_ATTEMPTS = 8
_LONGEST_WAIT_S = 60.0

T = TypeVar("T")
logger = structlog.get_logger()

State = Literal["none", "running", "stopped", "done", "failed"]
Writing = Callable[[], AbstractAsyncContextManager[None]]
"""While it is in, nobody else writes to the store."""


class Reembeddable(MemoryStore, Protocol):
    """A store whose points can have the vectors of two models. Both stores are; all calls raise ``StoreError``."""

    @property
    def spaces(self) -> Spaces:
        """Which models its vectors are of."""

    async def prepare(self, space: Space | None) -> None:
        """Note that *space* is coming, and add its vector; what it has already stays. ``None``: give up what was begun."""

    async def lacking(self, space: Space, after: str | None, *, limit: int) -> Records:
        """Like ``scan``, of those that have no vector in *space*."""

    async def count_lacking(self, space: Space) -> int:
        """How many there are of them."""

    async def fill(self, space: Space, vectors: Mapping[str, Vector]) -> None:
        """Give points their vectors in *space*, by id; who is gone is left out."""

    async def adopt(self) -> None:
        """The coming space is whole: it is noted as the current one, and as the last step of this call is searched and written."""

    async def drop_others(self) -> None:
        """Drop the vectors of all models but the current and the coming one."""


@dataclass(frozen=True, slots=True)
class Progress:
    """*done* of *total* memories and turns have a vector of *model*; *why*: what it failed of."""

    state: State = "none"
    model: str | None = None
    provider: str | None = None
    origin: str | None = None
    done: int = 0
    total: int = 0
    why: str | None = None


Report = Callable[[int, int], None]
"""Called with how many are done, of how many."""


async def _no_rest() -> None:
    await asyncio.sleep(0)


class Refill:
    """Gives every point of *store* its vector in *space*, from *embedder*; tells *report*. *rest* is awaited between pages."""

    def __init__(
        self,
        store: Reembeddable,
        embedder: Embedder,
        space: Space,
        *,
        report: Report,
        writing: Writing = nullcontext,
        rest: Callable[[], Awaitable[None]] = _no_rest,
        retry_s: float = 1.0,
    ) -> None:
        self._store = store
        self._embedder = embedder
        self._space = space
        self._report = report
        self._writing = writing
        self._rest = rest
        self._retry_s = retry_s
        self._done = self._total = 0

    async def run(self, switch: Callable[[], None] = lambda: None) -> None:
        """Return when the store is one of the new model, and only the old vector is left to be dropped.

        *switch* is called in the very step in which the store turns to the new vectors. Raises ``StoreError`` or ``EmbedError``.
        """
        await self._store.prepare(self._space)
        while True:
            await self._pass()
            async with self._writing():
                if await self._store.count_lacking(self._space) <= PAGE:
                    await self._fill_last()
                    await self._count()
                    await _to_the_end(self._adopt(switch))
                    return

    async def _adopt(self, switch: Callable[[], None]) -> None:
        await self._store.adopt()
        switch()  # nothing is awaited between the two

    async def sweep(self) -> None:
        """Once more, for what was written while ``run`` ended by whoever doesn't wait for *writing*, such as other replicas."""
        await self._pass()

    async def _pass(self) -> None:
        await self._count()
        after: str | None = None
        while True:
            page, last = await self._with_patience(partial(self._page, after))
            if last is None:
                return
            after, self._done = last, self._done + page
            self._report(min(self._done, self._total), self._total)
            await self._rest()

    async def _count(self) -> None:
        self._total = await self._store.count(None)
        self._done = self._total - await self._store.count_lacking(self._space)
        self._report(self._done, self._total)

    async def _page(self, after: str | None) -> tuple[int, str | None]:
        """How many of a page got their vectors, and where it ends. What has changed since it was read waits for the next pass."""
        before = await self._read(after)
        if not before:
            return 0, None
        vectors = await self._vectors(before)
        async with self._writing():
            now = await self._read(after)
            unchanged = {id_: vectors[id_] for id_, each in now.items() if before.get(id_) == each}
            await self._store.fill(self._space, unchanged)
        return len(unchanged), max(before)

    async def _fill_last(self) -> None:
        """Of those that have just been written; nobody writes now."""
        last = await self._read(None)
        if last:
            await self._store.fill(self._space, await self._vectors(last))

    async def _read(self, after: str | None) -> dict[str, _Source]:
        records = await self._store.lacking(self._space, after, limit=PAGE)
        around = await neighbours(self._store, records)
        return {each.memory.id: _Source.of(each.memory, around[each.memory.id]) for each in records}

    async def _vectors(self, sources: Mapping[str, _Source]) -> dict[str, Vector]:
        texts = list(dict.fromkeys(text for each in sources.values() for text in (each.text, *each.around)))
        by_text = dict(zip(texts, await self._embedder.embed_documents(texts), strict=True))
        return {
            id_: dense_vector(each.memory, by_text[each.text], [by_text[text] for text in each.around])
            for id_, each in sources.items()
        }

    async def _with_patience(self, call: Callable[[], Awaitable[T]]) -> T:
        """A page that fails is tried again: a server may be away for a minute, and the job takes hours."""
        wait_s = self._retry_s
        for _ in range(_ATTEMPTS - 1):
            try:
                return await call()
            except (StoreLocked, StoreMismatch):
                raise
            except (StoreError, EmbedError) as exc:
                logger.warning("re-embedding waits", why=str(exc), wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        return await call()


@dataclass(frozen=True, slots=True)
class _Source:
    """What a point's vector is made of; equal as long as that would come out the same."""

    text: str
    around: tuple[str, ...]
    memory: Memory = field(compare=False)

    @classmethod
    def of(cls, memory: Memory, around: Sequence[Memory]) -> _Source:
        return cls(dense_text(memory), tuple(map(dense_text, around)), memory)


async def _to_the_end(call: Coroutine[Any, Any, None]) -> None:
    """Whoever cancels this waits for it: half of it would leave a store that is noted as one thing and used as another."""
    task = asyncio.get_running_loop().create_task(call)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class Parts(Protocol):
    """What serves, and is changed under way. ``engine.Engine`` is one."""

    def reembeddable(self) -> Reembeddable:
        """The store itself. Raises ``StoreError`` while it is not open."""

    def use(self, embedder: Embedder, resources: AsyncExitStack) -> AsyncExitStack:
        """Use *embedder* from now on, closed with *resources*; what the one before is closed with. Returns at once."""


class Reembedding:
    """The job of a running proxy: one at a time, at work inside ``running()``. *embedding* is what is configured."""

    def __init__(
        self,
        parts: Parts,
        embedding: Embedding,
        *,
        writing: Writing,
        busy: Callable[[], bool],
        linger_s: float,
        opening: Callable[[Embedding], AbstractAsyncContextManager[Embedder]] = open_embedder,
    ) -> None:
        self._parts = parts
        self._embedding = embedding
        self._writing = writing
        self._busy = busy
        self._linger_s = linger_s
        self._opening = opening
        self._progress = Progress()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Reembedding]:
        try:
            yield self
        finally:
            await self._end_task()

    @property
    def embedding(self) -> Embedding:
        """The model in use, as it would stand in the configuration."""
        return self._embedding

    @property
    def progress(self) -> Progress:
        return self._progress if self._progress.state != "none" else self._left_over()

    def start(self, embedding: Embedding) -> Progress:
        """Begin to move the store to the model of *embedding*, or go on with it. Raises ``Conflict`` while one is under way."""
        if self._task is not None and not self._task.done():
            raise Conflict(f"The store is being moved to {self._progress.model} already: wait for it, or stop it with DELETE.")
        self._progress = Progress("running", embedding.model, embedding.provider, self._embedding.model)
        self._task = asyncio.get_running_loop().create_task(self._run(embedding))
        return self._progress

    async def stop(self) -> Progress:
        """What has been done stays done. Once the store has turned to the new model there is nothing to stop."""
        if self._progress.state == "running":
            await self._end_task()
        return self.progress

    async def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _left_over(self) -> Progress:
        """Of a job that another process began."""
        try:
            coming = self._parts.reembeddable().spaces.coming
        except StoreError:
            coming = None
        origin = self._embedding.model
        return Progress(origin=origin) if coming is None else Progress("stopped", coming.model, coming.provider, origin)

    async def _run(self, embedding: Embedding) -> None:
        try:
            async with AsyncExitStack() as resources:
                embedder = await resources.enter_async_context(self._opening(embedding))
                await self._move(embedding, embedder, resources)
        except MemoryProxyError as exc:
            self._end("failed", str(exc))
        except asyncio.CancelledError:
            self._end("stopped")
            raise
        except Exception as exc:
            logger.exception("an unexpected error while re-embedding")
            self._end("failed", type(exc).__name__)

    def _end(self, state: State, why: str | None = None) -> None:
        if self._progress.state != "done":
            self._progress = replace(self._progress, state=state, why=why)
            logger.warning("re-embedding ended", state=state, model=self._progress.model, why=why)

    async def _move(self, embedding: Embedding, embedder: Embedder, resources: AsyncExitStack) -> None:
        store, space = self._parts.reembeddable(), space_of(embedding, embedder.dimensions)
        await store.touch()
        if store.spaces.current.is_of_model(space):
            await _complete(store, embedder, self._count)
            self._progress = replace(self._progress, state="done")
            return
        logger.info("re-embedding", model=embedding.model, origin=self._embedding.model)
        refill = Refill(store, embedder, space, report=self._count, writing=self._writing, rest=self._rest)
        async with AsyncExitStack() as former:

            def switch() -> None:
                former.push_async_callback(self._parts.use(embedder, resources.pop_all()).aclose)
                self._embedding = embedding
                self._progress = replace(self._progress, state="done", done=self._progress.total)

            await refill.run(switch)
            advice = "before the next start, set embedding.model and embedding.provider"
            logger.warning("re-embedded", model=embedding.model, provider=embedding.provider, advice=advice)
            # Searches that began before the switch have the old vector and the old embedder to the end.
            await asyncio.sleep(self._linger_s)
            await _clean_up(refill, store)

    def _count(self, done: int, total: int) -> None:
        self._progress = replace(self._progress, done=done, total=total)

    async def _rest(self) -> None:
        """Until no chat is waiting for memories, but not for long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + PATIENCE_S
        await asyncio.sleep(BREATH_S)
        while self._busy() and loop.time() < until:  # noqa: ASYNC110  who recalls tells nobody when it ends
            await asyncio.sleep(BREATH_S)


async def _complete(store: Reembeddable, embedder: Embedder, report: Report) -> None:
    """*store* is of that model already: what was begun of another is given up, and what lacks its vector after all gets it."""
    await store.prepare(None)
    await Refill(store, embedder, store.spaces.current, report=report).sweep()


async def _clean_up(refill: Refill, store: Reembeddable) -> None:
    try:
        await refill.sweep()
        await store.drop_others()
    except (StoreError, EmbedError) as exc:
        logger.warning("the old vectors are dropped at the next start", why=str(exc))


async def reembed(store: Reembeddable, embedder: Embedder, embedding: Embedding, report: Report) -> bool:
    """Move *store*, which nobody else uses, to *embedder*, which is that of *embedding*; whether there was anything to move."""
    await store.touch()
    space = space_of(embedding, embedder.dimensions)
    if store.spaces.current.model and store.spaces.current.is_of_model(space):
        await _complete(store, embedder, report)
        return False
    refill = Refill(store, embedder, space, report=report)
    await refill.run()
    await store.drop_others()
    return True
