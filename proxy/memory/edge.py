"""The embedded store, on Qdrant Edge; with ``edge_shard`` and ``edge_filters`` the only importer of ``qdrant_edge``.

*One thread.* A shard is synchronous and keeps the GIL while it works, so all its calls go through one thread of its own,
and each must be short: large writes go in slices, with room for searches between them.

*No graph.* With ``indexing_threshold=0`` a search reads exactly the points of its owner, which takes well under a
millisecond per thousand of them. A graph would be built by ``optimize()``, which keeps the GIL for 3 s per 10,000 points.
What is left of ``optimize()`` is to drop deleted points once they are a fifth of the whole: done at opening, before anyone waits.

*Deleting.* The library takes deleted points out of every search at once, but their text stays in the segments until an ``optimize()``
that finds a fifth of them deleted, and in the write-ahead log until 32 MiB more were written twice. So the store is written anew:
page by page what is left is copied into a second directory, with searches between the pages and writes going to both; then that
takes over (see ``shard_folder.py``) and the old one is removed. ``purge()`` returns when that has been done for all that was
deleted before; without it, it is begun within ``PURGE_AFTER_S`` of the first delete, and at opening if a process ended before.

*A full disk.* The files are mapped into memory: a write that finds no room on the disk is no error but the end of the process
(SIGBUS). So room is kept: with less than ``store.min_free_bytes`` on the disk nothing is written, and a probe fails until there is more.

*Durability.* A write is in the write-ahead log when it returns, so a killed process loses nothing. Against power loss the
log is on the disk within ``store.flush_interval_s`` of the first write since it was last put there.
That is done file by file and beside the store's thread: the library's ``flush()`` writes the segments, too, and keeps the GIL meanwhile,
50 to 300 ms on a disk that has other work, during which every stream stands still. The segments have their turn after ``FLUSH_AFTER``
points, and at closing; until then an opening reads the log, at 15,000 points a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import ParamSpec, TypeVar

import qdrant_edge
import structlog

from proxy import config
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import StoreError
from proxy.memory.edge_filters import filter_of, owner_filter, with_ids, without_vector
from proxy.memory.edge_shard import PAGE, SLICE, Offset, Shard, renamed
from proxy.memory.embedder import Vector
from proxy.memory.payload import check_entries
from proxy.memory.spaces import Space, space_of
from proxy.memory.store import Entry, Pick, Query, Records, SparseEncoder, SparseVector, Which

FLUSH_AFTER = 5000
"""So many points written, and the segments are written to the disk as well."""

PURGE_AFTER_S = 600.0
"""How long after a delete the files are written without it, if nobody asks for it earlier. It takes about 2 s per 10,000 points."""

BREATH_S = 0.01
"""The pause between pages that are copied: no chat shall notice that it is done."""

# Inside the class below, ``list`` is a method.
Memories = list[Memory]

P = ParamSpec("P")
T = TypeVar("T")
logger = structlog.get_logger(__name__)


class Bm25Encoder:
    """English words, stemmed, without stop words. k, b and the average length as measured on conversations."""

    def __init__(self) -> None:
        self._model = qdrant_edge.Bm25(qdrant_edge.Bm25Config(k=0.9, b=0.4, avg_len=60.0))

    def query(self, text: str) -> SparseVector:
        return _plain(self._model.embed_query(_encodable(text)))

    def document(self, text: str) -> SparseVector:
        return _plain(self._model.embed_document(_encodable(text)))


def _plain(vector: qdrant_edge.SparseVector) -> SparseVector:
    return SparseVector(vector.indices, vector.values)


def _encodable(text: str) -> str:
    # JSON can carry half a surrogate pair, UTF-8 can't; the other words shall still be found.
    return text.encode("utf-8", "replace").decode()


@asynccontextmanager
async def open_edge(
    settings: config.Store, dimensions: int | None, encoder: SparseEncoder, embedding: config.Embedding | None = None
) -> AsyncIterator[EdgeStore]:
    """The store in the directory ``edge`` under ``store.path``, made if it isn't there; closed on leaving.

    Raises ``StoreLocked`` if it is open elsewhere, ``StoreMismatch`` if its vectors have other *dimensions* or are not of *embedding*'s
    model. Without *dimensions* it is opened as it is, and must be there.
    """
    store = EdgeStore(
        Path(settings.path) / "edge",
        dimensions,
        encoder,
        embedding=embedding,
        flush_interval_s=settings.flush_interval_s,
        min_free_bytes=settings.min_free_bytes,
    )
    try:
        await store.open()
        yield store
    finally:
        await store.close()


class EdgeStore:
    """The asynchronous side: hands calls to the shard's thread, and sees to it that writes are flushed."""

    def __init__(
        self,
        directory: Path,
        dimensions: int | None,
        encoder: SparseEncoder,
        *,
        embedding: config.Embedding | None = None,
        flush_interval_s: float,
        purge_after_s: float = PURGE_AFTER_S,
        min_free_bytes: int = 0,
    ) -> None:
        wanted = None if dimensions is None else space_of(embedding, dimensions)
        self._shard = Shard(directory, wanted, encoder, min_free_bytes)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="edge-store")
        self._flush_interval_s = flush_interval_s
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._purge_after_s = purge_after_s
        self._purge_timer: asyncio.TimerHandle | None = None
        self._purges: set[asyncio.Task[None]] = set()
        self._copying = asyncio.Lock()

    async def open(self) -> None:
        self.spaces = await self._call(self._shard.open)
        if self._shard.deletions:
            self._purge_soon(0)

    async def close(self) -> None:
        for timer in filter(None, (self._flush_timer, self._purge_timer)):
            timer.cancel()
        for purge in self._purges:
            purge.cancel()
        await asyncio.gather(*self._purges, *filter(None, [self._flushing]), return_exceptions=True)
        try:
            await self._call(self._shard.close)
        finally:
            self._thread.shutdown(wait=False)

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        return await self._call(self._shard.search, self.spaces.current, owner, query, limit, pick)

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        space = self.spaces.current
        check_entries(entries, space.dimensions)
        for start in range(0, len(entries), SLICE):
            await self._write(self._shard.upsert, space, owner, entries[start : start + SLICE])

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        for start in range(0, len(memories), SLICE):
            await self._write(self._shard.revise, owner, memories[start : start + SLICE])

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        return await self._call(self._shard.get, owner, ids)

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        return await self._call(self._shard.find, owner, contents, which)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        if limit <= PAGE:
            return await self._call(self._shard.newest, owner, which, limit)
        # In one call, ten thousand would keep all who search waiting for a third of a second.
        found: Memories = []
        offset: Offset = None
        while True:
            page, offset = await self._call(self._shard.page, owner, which, offset)
            found += page
            if offset is None:
                return sorted(found, key=attrgetter("created_at"), reverse=True)[:limit]

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        self._purge_soon(self._purge_after_s)
        return await self._write(self._shard.delete, with_ids(owner, ids))

    async def erase(self, owner: Owner) -> int:
        self._purge_soon(self._purge_after_s)
        return await self._write(self._shard.delete, owner_filter(owner))

    async def purge(self) -> None:
        """Goes on if the caller gives up."""
        await asyncio.shield(self._begin_purge())

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        return await self._call(self._shard.count, owner, which)

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        found: dict[str, Owner] = {}
        for start in range(0, len(ids), SLICE):
            found |= await self._call(self._shard.owners_of, ids[start : start + SLICE])
        return found

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        return await self._scan(after, limit, filter_of(whose), self.spaces.current.vector if vectors else None)

    async def _scan(self, after: str | None, limit: int, where: qdrant_edge.Filter | None, vector: str | None = None) -> Records:
        found: Records = []
        while len(found) < limit:
            some = await self._call(self._shard.scan, after, min(SLICE, limit - len(found)), where, vector)
            if not some:
                break
            found += some
            after = some[-1].memory.id
        return found

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        return await self._call(self._shard.expired, since, until, after, limit)

    # For another embedding model: see ``reembedding.Reembeddable``.

    async def prepare(self, space: Space | None) -> None:
        self.spaces = await self._write(self._shard.prepare, space)

    async def lacking(self, space: Space, after: str | None, *, limit: int) -> Records:
        return await self._scan(after, limit, without_vector(space))

    async def count_lacking(self, space: Space) -> int:
        return await self._call(self._shard.count_lacking, space)

    async def fill(self, space: Space, vectors: Mapping[str, Vector]) -> None:
        await self._write(self._shard.fill, space, vectors)

    async def adopt(self) -> None:
        self.spaces = await self._write(self._shard.adopt)

    async def drop_others(self) -> None:
        await self._write(self._shard.drop_others)

    async def touch(self) -> None:
        await self._call(self._shard.touch)

    async def _write(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        # Before the call: a caller that is cancelled while the thread writes must not leave the write unflushed.
        if self._flush_timer is None:
            self._flush_timer = asyncio.get_running_loop().call_later(self._flush_interval_s, self._flush)
        return await self._call(call, *args, **kwargs)

    def _flush(self) -> None:
        self._flush_timer = None
        self._flushing = asyncio.get_running_loop().create_task(self._write_through())

    async def _write_through(self) -> None:
        # Asked in the thread, behind what is being written just now: no later write may come.
        unflushed = await self._call(lambda: self._shard.unflushed)
        await (self.sync_log() if unflushed < FLUSH_AFTER else self.flush())

    async def sync_log(self) -> None:
        """Have all that was written on the disk, in the log."""
        await asyncio.get_running_loop().run_in_executor(None, self._shard.sync_log)

    async def flush(self) -> None:
        """The same in the segments, so that the log need not be read at the next opening; nothing else goes on meanwhile."""
        await self._call(self._shard.flush)

    def _purge_soon(self, after_s: float) -> None:
        if self._purge_timer is None:
            self._purge_timer = asyncio.get_running_loop().call_later(after_s, self._purge_now)

    def _purge_now(self) -> None:
        self._purge_timer = None
        self._begin_purge().add_done_callback(self._purge_again)

    def _purge_again(self, purge: asyncio.Task[None]) -> None:
        if not purge.cancelled() and (error := purge.exception()):
            logger.warning("the text of deleted memories is still in files", error=str(error))
            self._purge_soon(self._purge_after_s)

    def _begin_purge(self) -> asyncio.Task[None]:
        purge = asyncio.get_running_loop().create_task(self._purge(self._shard.deletions))
        self._purges.add(purge)
        purge.add_done_callback(self._purges.discard)
        return purge

    async def _purge(self, deletions: int) -> None:
        """Those who wait for the same deletions, or for earlier ones, share one copy."""
        async with self._copying:
            if self._shard.purged < deletions:
                await self._copy()

    async def _copy(self) -> None:
        try:
            await self._call(self._shard.begin_copy)
            more = True
            while more:
                more = await self._call(self._shard.copy_page)
                await asyncio.sleep(BREATH_S)
            await self._call(self._shard.adopt_copy)
        except StoreError:
            await self._call(self._shard.drop_copy)
            raise

    async def _call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            future = asyncio.get_running_loop().run_in_executor(self._thread, partial(renamed, call, *args, **kwargs))
        except RuntimeError as exc:
            raise StoreError("the embedded store is closed") from exc
        return await future
