"""The embedded store's synchronous side: a shard of Qdrant Edge in a folder, with a copy of it while it is written anew.

All of it but ``Shard.sync_log`` runs in the one thread of ``EdgeStore``, whose file (``edge``) says why.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import NoReturn, ParamSpec, TypeVar
from uuid import UUID

import qdrant_edge
import structlog

from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import StoreError, StoreLocked
from proxy.memory.edge_filters import (
    any_of,
    ended_between,
    owned_by_others,
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
from proxy.memory.spaces import DENSE, Space, Spaces, settle
from proxy.memory.store import Entry, Hit, Hits, Kept, Pick, Query, SparseEncoder, Which, digest

SLICE = 250
PAGE = 1000

COPIED_AT_ONCE = 100
"""Points: some 10 ms during which neither searches nor, as the GIL is held, anything else goes on."""

_NOT_YET = "memories are not on the disk yet"

P = ParamSpec("P")
T = TypeVar("T")
Offset = int | str | UUID | None
logger = structlog.get_logger(__name__)


def renamed(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
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


class Shard:
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
        except BaseException as exc:  # see renamed
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
            renamed(self._shard.flush)
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
            renamed(_fill, self.shard, space, vectors)
        except StoreError as exc:
            self.failure = str(exc)

    def update(self, operation: qdrant_edge.UpdateOperation) -> None:
        """Never raises: the write itself has been done."""
        try:
            renamed(self.shard.update, operation)
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
