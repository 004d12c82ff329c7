"""The embedded store, on Qdrant Edge; with ``edge_filters`` the only importer of ``qdrant_edge``.

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
import fcntl
import json
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import datetime
from functools import partial
from itertools import product
from operator import attrgetter
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar
from uuid import UUID

import qdrant_edge
import structlog

from proxy import config
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import StoreError, StoreLocked
from proxy.memory.edge_filters import (
    any_of,
    ended_between,
    filter_of,
    owned_by_others,
    owner_filter,
    search_filters,
    which_filter,
    with_ids,
    without_vector,
)
from proxy.memory.embedder import Vector
from proxy.memory.indexing import sparse_vector
from proxy.memory.payload import (
    SPARSE,
    by_name,
    check_entries,
    chosen,
    in_order,
    next_id,
    owner_keys,
    point_ids,
    to_hits,
    to_kept,
    to_memory,
    to_owner,
    to_payload,
)
from proxy.memory.shard_folder import ShardFolder
from proxy.memory.spaces import DENSE, Space, Spaces, settle, space_of
from proxy.memory.store import Entry, Hit, Hits, Kept, Pick, Query, Records, SparseEncoder, SparseVector, Which, digest

SLICE = 250
PAGE = 1000

FLUSH_AFTER = 5000
"""So many points written, and the segments are written to the disk as well."""

PURGE_AFTER_S = 600.0
"""How long after a delete the files are written without it, if nobody asks for it earlier. It takes about 2 s per 10,000 points."""

COPIED_AT_ONCE = 100
"""Points: some 10 ms during which neither searches nor, as the GIL is held, anything else goes on."""

BREATH_S = 0.01
"""The pause between pages that are copied: no chat shall notice that it is done."""

_NOT_YET = "memories are not on the disk yet"

# Inside the class below, ``list`` is a method.
Memories = list[Memory]
Offset = int | str | UUID | None

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
        self._shard = _Shard(directory, wanted, encoder, min_free_bytes)
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
            future = asyncio.get_running_loop().run_in_executor(self._thread, partial(_renamed, call, *args, **kwargs))
        except RuntimeError as exc:
            raise StoreError("the embedded store is closed") from exc
        return await future


def _renamed(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return call(*args, **kwargs)
    except StoreError:
        raise
    # qdrant_edge raises plain Exception, and a panic of its Rust is a BaseException.
    except BaseException as exc:
        raise StoreError(f"the embedded store failed: {_one_line(exc)}") from exc


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:300]


class _Shard:
    """The synchronous side; every method but ``sync_log`` runs in the one thread.

    *deletions* counts those whose text may be in files, of which the first *purged* are not any more; both may be read from anywhere.
    *unflushed* counts points that are on the disk in the log alone.
    """

    def __init__(self, directory: Path, wanted: Space | None, encoder: SparseEncoder, min_free_bytes: int) -> None:
        self._directory = directory
        self._min_free_bytes = min_free_bytes
        self._folder = ShardFolder(directory)
        self._wanted = wanted
        self._sizes: dict[str, int] = {}  # of the dense vectors that points may have, by name
        self._encoder = encoder
        self._resources = ExitStack()
        self._copy: _Copy | None = None
        self.deletions = 0
        self.purged = 0
        self.unflushed = 0

    def open(self) -> Spaces:
        if self._wanted is None and not self._directory.parent.exists():
            raise StoreError(f"{self._directory} holds no memories")
        with ExitStack() as stack:
            stack.enter_context(_only_process(self._directory))
            self._check_room()
            noted = self._folder.models
            self.spaces = self._settle(noted)
            self._shard = self._load(self._folder.current)
            stack.callback(self._close_shards)
            _create_indexes(self._shard)
            # Only now: what can't be opened may be all there is.
            self._folder.clear_spare()
            if noted is not None:
                self.drop_others()
            if noted != self.spaces and self.spaces.current.model:
                self._folder.note_models(self.spaces)
            if self._has_room(self._folder.size_bytes()):  # to write segments anew
                self._shard.optimize()
            if noted is not None:
                self.flush()  # what was read out of the log, while nobody waits
            self.deletions = int(self._folder.is_owed)
            self._resources = stack.pop_all()
        return self.spaces

    def close(self) -> None:
        self._resources.close()

    def _close_shards(self) -> None:
        self.drop_copy()
        self._shard.close()

    def _load(self, directory: Path) -> qdrant_edge.EdgeShard:
        directory.mkdir(exist_ok=True)
        try:
            return qdrant_edge.EdgeShard.load(str(directory), _shard_config(self._sizes))
        except BaseException as exc:  # see _renamed
            raise StoreError(f"{self._directory} can't be opened: {_one_line(exc)}") from exc

    def _settle(self, noted: Spaces | None) -> Spaces:
        self._sizes = _stored_sizes(self._folder.current)
        spaces = settle(noted, self._sizes, self._wanted, where=str(self._directory), elsewhere="another store.path")
        self._sizes = self._sizes or {spaces.current.vector: spaces.current.dimensions}
        return spaces

    def _update(self, operation: qdrant_edge.UpdateOperation, points: int = 1) -> None:
        """Also in the copy, if there is one: what is not yet in it comes with its page. *points*: so many it is about."""
        self._check_room()
        self._shard.update(operation)
        self.unflushed += points
        if self._copy is not None:
            self._copy.update(operation)

    def begin_copy(self) -> None:
        self.drop_copy()
        self._folder.clear_spare()
        self._check_room(self._folder.size_bytes())
        shard = self._load(self._folder.spare)
        _create_indexes(shard)
        self._copy = _Copy(shard, self.deletions)

    def copy_page(self) -> bool:
        """Whether there is more."""
        self._check_room()
        return self._whole_copy().take_page(self._shard)

    def adopt_copy(self) -> None:
        """Work with the copy from now on, and remove the files that it was made from."""
        copy, old = self._whole_copy(), self._shard
        copy.shard.flush()
        self._folder.switch()
        self._shard, self._copy = copy.shard, None
        self.unflushed = 0
        old.close()
        self._folder.clear_spare()
        self.purged = copy.deletions
        if self.purged == self.deletions:
            self._folder.settle()

    def drop_copy(self) -> None:
        if self._copy is not None:
            copy, self._copy = self._copy, None
            copy.shard.close()

    def _whole_copy(self) -> _Copy:
        if self._copy is None or self._copy.failure is not None:
            raise StoreError(f"the embedded store's copy was given up: {self._copy and self._copy.failure}")
        return self._copy

    # Each call is told in which space: one that waits for the thread while another takes over has that one's vectors no longer.

    def search(self, space: Space, owner: Owner, query: Query, limit: int, pick: Pick) -> list[ScoredMemory]:
        choices = pick(self._nearest(space, owner, query, limit))
        if not choices:
            return []
        records = self._shard.retrieve([each.id for each in choices], with_payload=True, with_vector=[space.vector])
        return chosen(choices, _memories(owner, records, shared=True), records, space)

    def _nearest(self, space: Space, owner: Owner, query: Query, limit: int) -> Hits:
        vectors = self._query_vectors(query)
        if not vectors:
            return Hits([], [])
        requests = [
            qdrant_edge.QueryRequest(
                query=qdrant_edge.Query.Nearest(vector, using=_using(name, space)), filter=where, limit=limit
            )
            for where, (name, vector) in product(search_filters(owner, query), vectors.items())
        ]
        answers = self._shard.query_batch(qdrant_edge.QueryBatchRequest(requests))
        return to_hits(by_name(vectors, [_hits(points) for points in answers]))

    def _query_vectors(self, query: Query) -> dict[str, qdrant_edge.NamedVector]:
        vectors: dict[str, qdrant_edge.NamedVector] = {}
        if query.vector is not None:
            vectors[DENSE] = list(query.vector)
        words = self._encoder.query(query.text)
        if words.indices:
            vectors[SPARSE] = qdrant_edge.SparseVector(words.indices, words.values)
        return vectors

    def upsert(self, space: Space, owner: Owner, entries: Sequence[Entry]) -> None:
        points = [self._point(space, owner, entry) for entry in entries]
        if self._count(owned_by_others(owner, [entry.memory.id for entry in entries])):
            raise StoreError("a memory with one of these ids belongs to another owner")
        self._update(qdrant_edge.UpdateOperation.upsert_points(points), len(points))

    def _point(self, space: Space, owner: Owner, entry: Entry) -> qdrant_edge.Point:
        words = sparse_vector(self._encoder, entry.memory, entry.around)
        sparse = qdrant_edge.SparseVector(words.indices, words.values)
        vectors: dict[str, qdrant_edge.NamedVector] = {space.vector: list(entry.vector), SPARSE: sparse}
        return qdrant_edge.Point(entry.memory.id, vectors, to_payload(owner, entry.memory))

    def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        for memory in memories:
            where, payload = with_ids(owner, [memory.id]), to_payload(owner, memory)
            self._update(qdrant_edge.UpdateOperation.overwrite_payload_by_filter(where, payload))

    def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        return in_order(ids, self._scroll(owner, with_ids(owner, ids, shared=True), shared=True))

    def find(self, owner: Owner, contents: Sequence[str], which: Which) -> list[Memory]:
        same = any_of("digest", [digest(content) for content in contents])
        return self._scroll(owner, qdrant_edge.Filter(must=[which_filter(owner, which), same]), shared=which.shared)

    def newest(self, owner: Owner, which: Which, limit: int) -> list[Memory]:
        newest_first = qdrant_edge.OrderBy("created_at", qdrant_edge.Direction.Desc)
        where = which_filter(owner, which)
        request = qdrant_edge.ScrollRequest(filter=where, order_by=newest_first, limit=limit, with_payload=True)
        return _memories(owner, self._shard.scroll(request)[0], shared=which.shared)

    def page(self, owner: Owner, which: Which, offset: Offset) -> tuple[list[Memory], Offset]:
        """Some of what is meant, in no order, and where to go on."""
        request = qdrant_edge.ScrollRequest(filter=which_filter(owner, which), offset=offset, limit=SLICE, with_payload=True)
        records, following = self._shard.scroll(request)
        return _memories(owner, records, shared=which.shared), following

    def delete(self, where: qdrant_edge.Filter) -> int:
        found = self._count(where)
        if found:
            self._folder.owe()
            self.deletions += 1
            self._update(qdrant_edge.UpdateOperation.delete_points_by_filter(where), found)
        return found

    def count(self, owner: Owner | None, which: Which) -> int:
        return self._count(None if owner is None else which_filter(owner, which))

    def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        records = self._shard.retrieve([*point_ids(ids)], with_payload=True, with_vector=False)
        return {str(each.id): to_owner(each.id, each.payload) for each in records}

    def scan(self, after: str | None, limit: int, where: qdrant_edge.Filter | None, vector: str | None) -> list[Kept]:
        names = [] if vector is None else [vector]
        request = qdrant_edge.ScrollRequest(
            offset=next_id(after), filter=where, limit=limit, with_payload=True, with_vector=names or None
        )
        return [to_kept(each.id, each.payload, each.vector, *names) for each in self._shard.scroll(request)[0]]

    def prepare(self, space: Space | None) -> Spaces:
        """Noted before it is there: a vector that nobody noted is dropped at the next opening."""
        self._note(Spaces(self.spaces.current, space))
        self.drop_others()
        if space is not None and space.vector not in self._sizes:
            self._update(
                qdrant_edge.UpdateOperation.create_dense_vector(space.vector, space.dimensions, qdrant_edge.Distance.Cosine)
            )
            self._sizes[space.vector] = space.dimensions
        return self.spaces

    def count_lacking(self, space: Space) -> int:
        return self._count(without_vector(space))

    def fill(self, space: Space, vectors: Mapping[str, Vector]) -> None:
        """Of *vectors*, those whose points are there."""
        self._check_room()
        _fill(self._shard, space, vectors)
        self.unflushed += len(vectors)
        if self._copy is not None:
            self._copy.fill(space, vectors)

    def adopt(self) -> Spaces:
        if self.spaces.coming is not None:
            # All that it has is on the disk before anyone relies on it.
            self._shard.flush()
            self._note(Spaces(self.spaces.coming))
        return self.spaces

    def drop_others(self) -> None:
        for name in self._sizes.keys() - self.spaces.names:
            self._update(qdrant_edge.UpdateOperation.delete_vector_name(name))
            del self._sizes[name]

    def _note(self, spaces: Spaces) -> None:
        self._folder.note_models(spaces)
        self.spaces = spaces

    def expired(self, begin: datetime, end: datetime, after: str | None, limit: int) -> list[Kept]:
        where = ended_between(begin, end)
        request = qdrant_edge.ScrollRequest(offset=next_id(after), filter=where, limit=limit, with_payload=True)
        return [to_kept(each.id, each.payload, each.vector) for each in self._shard.scroll(request)[0]]

    def touch(self) -> None:
        self._check_room()
        self._shard.info()

    def _check_room(self, more_bytes: int = 0) -> None:
        """Raise ``StoreError`` if the disk has no room to write in, and for *more_bytes* beyond that."""
        if not self._has_room(more_bytes):
            free, needed = self._free_bytes(), self._min_free_bytes + more_bytes
            raise StoreError(f"the disk of {self._directory} is full: {_mb(free)} free, {_mb(needed)} needed; make room")

    def _has_room(self, more_bytes: int) -> bool:
        return self._free_bytes() >= self._min_free_bytes + more_bytes

    def _free_bytes(self) -> int:
        return shutil.disk_usage(self._directory.parent).free

    def flush(self) -> None:
        """Never raises: it runs on a timer, and the next write sets the next one."""
        try:
            _renamed(self._shard.flush)
            self.unflushed = 0
        except StoreError as exc:
            logger.warning(_NOT_YET, error=str(exc))

    def sync_log(self) -> None:
        """In any thread, and without the GIL while the disk works. Never raises, as ``flush``."""
        try:
            self._folder.sync_log()
        except FileNotFoundError:
            pass  # the log has moved on, or a copy has taken over: either was flushed
        except OSError as exc:
            logger.warning(_NOT_YET, error=str(exc))

    def _count(self, where: qdrant_edge.Filter | None) -> int:
        return self._shard.count(qdrant_edge.CountRequest(filter=where))

    def _scroll(self, owner: Owner, where: qdrant_edge.Filter, *, shared: bool) -> list[Memory]:
        found: list[Memory] = []
        offset = None
        while True:
            request = qdrant_edge.ScrollRequest(filter=where, offset=offset, limit=PAGE, with_payload=True)
            records, offset = self._shard.scroll(request)
            found += _memories(owner, records, shared=shared)
            if offset is None:
                return found


class _Copy:
    """A shard that is becoming a copy of another, without what the first *deletions* took out of that; *failure* says why it won't."""

    def __init__(self, shard: qdrant_edge.EdgeShard, deletions: int) -> None:
        self.shard = shard
        self.deletions = deletions
        self.failure: str | None = None
        self._offset: qdrant_edge.PointId | None = None

    def take_page(self, source: qdrant_edge.EdgeShard) -> bool:
        """Whether there is more."""
        request = qdrant_edge.ScrollRequest(offset=self._offset, limit=COPIED_AT_ONCE, with_payload=True, with_vector=True)
        records, self._offset = source.scroll(request)
        points = [qdrant_edge.Point(each.id, each.vector or {}, each.payload) for each in records]
        self.shard.update(qdrant_edge.UpdateOperation.upsert_points(points))
        return self._offset is not None

    def fill(self, space: Space, vectors: Mapping[str, Vector]) -> None:
        """Of points that have not been copied the vectors come with their page."""
        try:
            _renamed(_fill, self.shard, space, vectors)
        except StoreError as exc:
            self.failure = str(exc)

    def update(self, operation: qdrant_edge.UpdateOperation) -> None:
        """Never raises: the write itself has been done."""
        try:
            _renamed(self.shard.update, operation)
        except StoreError as exc:
            self.failure = str(exc)


def _fill(shard: qdrant_edge.EdgeShard, space: Space, vectors: Mapping[str, Vector]) -> None:
    there = [str(each.id) for each in shard.retrieve([*vectors], with_payload=False, with_vector=False)]
    points = [qdrant_edge.PointVectors(id_, {space.vector: list(vectors[id_])}) for id_ in there]
    if points:
        shard.update(qdrant_edge.UpdateOperation.update_vectors(points))


def _using(name: str, space: Space) -> str:
    """What the list *name* is searched by."""
    return space.vector if name == DENSE else name


def _hits(points: Iterable[qdrant_edge.ScoredPoint]) -> list[Hit]:
    return [Hit(str(point.id), point.score) for point in points]


def _memories(owner: Owner, records: Iterable[qdrant_edge.Record], *, shared: bool) -> list[Memory]:
    owners = owner_keys(owner, shared=shared)
    return [to_memory(owners, record.id, record.payload) for record in records]


def _shard_config(sizes: Mapping[str, int]) -> qdrant_edge.EdgeConfig:
    vectors = {
        name: qdrant_edge.EdgeVectorParams(size=size, distance=qdrant_edge.Distance.Cosine) for name, size in sizes.items()
    }
    return qdrant_edge.EdgeConfig(
        vectors=vectors,
        sparse_vectors={SPARSE: qdrant_edge.EdgeSparseVectorParams(modifier=qdrant_edge.Modifier.Idf)},
        optimizers=qdrant_edge.EdgeOptimizersConfig(indexing_threshold=0),
        # There is one segment to search, so a pool would only hand work from thread to thread.
        max_search_threads=1,
    )


def _create_indexes(shard: qdrant_edge.EdgeShard) -> None:
    existing = shard.info().payload_schema
    for field, schema in _indexes().items():
        if field not in existing:
            shard.update(qdrant_edge.UpdateOperation.create_field_index(field, schema))


def _indexes() -> dict[str, qdrant_edge.PayloadSchemaParams | qdrant_edge.PayloadSchemaType]:
    return {
        "owner": qdrant_edge.KeywordIndexParams(is_tenant=True),
        **dict.fromkeys(("tenant", "type", "scope", "session", "digest", "key"), qdrant_edge.PayloadSchemaType.Keyword),
        **dict.fromkeys(("created_at", "valid_from", "valid_until"), qdrant_edge.PayloadSchemaType.Datetime),
    }


def _stored_sizes(directory: Path) -> dict[str, int]:
    """The dense vectors that Qdrant Edge noted beside the data; its own refusal of others doesn't say what to do."""
    try:
        noted = json.loads((directory / "edge_config.json").read_bytes())["vectors"]
        sizes = {str(name): int(each["size"]) for name, each in noted.items()}
        return sizes or _damaged(directory)
    except FileNotFoundError:
        return {}
    except (AttributeError, KeyError, TypeError, ValueError):
        return _damaged(directory)


def _damaged(directory: Path) -> NoReturn:
    raise StoreError(f"{directory} can't be opened: edge_config.json is damaged")


@contextmanager
def _only_process(directory: Path) -> Iterator[None]:
    """Qdrant Edge refuses a second process as well, but only by the text of an error; the lock also ends with the process."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = directory.with_suffix(".lock").open("a+", encoding="ascii")
    except OSError as exc:
        raise StoreError(f"{directory} can't be opened: {exc.strerror}") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise StoreLocked(
                f"{directory} is open in process {lock.read()}: go through that proxy with --url, or use another --data"
            ) from exc
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
