"""The store on a Qdrant server or cluster; with ``qdrant_filters`` the only importer of ``qdrant_client``.

One collection holds all owners, laid out as Qdrant advises for many tenants: no graph over everything (``m=0``),
one per owner (``payload_m=16``), and the owner's payload index marked as the tenant.

The proxy starts without the server. Whatever call comes first makes sure of the collection, and again after the server lost it.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from proxy import config
from proxy.core.models import Memory, Owner, ScoredMemory
from proxy.errors import StoreError, StoreMismatch
from proxy.memory.embedder import Vector as Embedded
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
from proxy.memory.qdrant_filters import (
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
from proxy.memory.spaces import DENSE, Space, Spaces, parse, render, settle, space_of
from proxy.memory.store import Entry, Hit, Hits, Pick, Query, Records, SparseEncoder, Which, digest

# Inside the class below, ``list`` is a method.
Memories = list[Memory]
Vector = list[float] | models.SparseVector

METADATA = "memory_proxy"
"""Where in a collection's metadata stands of which models its vectors are."""

SLICE = 100
PAGE = 1000

QUANTIZATION: dict[str, models.QuantizationConfig] = {
    "scalar": models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    ),
    "binary": models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
}
INDEXES: dict[str, models.KeywordIndexParams | models.DatetimeIndexParams] = {
    "owner": models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD, is_tenant=True),
    **dict.fromkeys(
        ("tenant", "type", "scope", "session", "digest", "key"), models.KeywordIndexParams(type=models.KeywordIndexType.KEYWORD)
    ),
    **dict.fromkeys(
        ("created_at", "valid_from", "valid_until"), models.DatetimeIndexParams(type=models.DatetimeIndexType.DATETIME)
    ),
}
# Quantised vectors choose twice as many candidates as asked for, the original ones decide between them.
RESCORED = models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True, oversampling=2.0))


@asynccontextmanager
async def open_qdrant(
    settings: config.Store, dimensions: int | None, encoder: SparseEncoder, embedding: config.Embedding | None = None
) -> AsyncIterator[QdrantStore]:
    """The store at ``store.url``, closed on leaving. Doesn't connect: call ``ensure`` to know at once whether all is well.

    Its vectors must have *dimensions* and be of *embedding*'s model. Without *dimensions* it is taken as it is, and must be there.
    """
    client = AsyncQdrantClient(
        url=settings.url,
        timeout=math.ceil(settings.timeout_s),
        # As a header: api_key= prints a Python warning for plain HTTP, which is the rule inside a cluster.
        headers={"api-key": settings.api_key} if settings.api_key else None,
        # The check would be a thread and a request of its own, whose failure is another warning.
        check_compatibility=False,
    )
    try:
        yield QdrantStore(client, settings, dimensions, encoder, embedding)
    finally:
        await client.close()


class QdrantStore:
    def __init__(
        self,
        client: AsyncQdrantClient,
        settings: config.Store,
        dimensions: int | None,
        encoder: SparseEncoder,
        embedding: config.Embedding | None = None,
    ) -> None:
        self._client = client
        self._collection = settings.collection
        self._quantization = QUANTIZATION.get(settings.quantization)
        self._wanted = None if dimensions is None else space_of(embedding, dimensions)
        self._noted: Spaces | None = None
        self._encoder = encoder
        self._where = f"Qdrant at {_without_userinfo(settings.url)}"
        self._ensured = False

    async def ensure(self) -> None:
        """See that the collection is there and fits. ``StoreMismatch`` if it doesn't fit, ``StoreError`` if nobody can tell.

        Replicas of the proxy may do this at the same time: every step can be done twice.
        """
        with self._renamed():
            if self._wanted is not None and not await self._client.collection_exists(self._collection):
                await self._create_collection(self._wanted)
            found = await self._client.get_collection(self._collection)
            self._noted = spaces = self._settle(found.config)
            await self._create_indexes(found.payload_schema)
            if spaces.current.model and _noted_spaces(found.config) != spaces:
                # A server that is too old to keep it, or a key that may not change the collection, is no reason to do without.
                with suppress(UnexpectedResponse):
                    await self._note(spaces)
            if _noted_spaces(found.config) is not None:
                for name in _dense_sizes(found.config.params).keys() - spaces.names:
                    await self._client.delete_vector_name(self._collection, name, wait=True)
        self._ensured = True

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        with self._renamed():
            await self._ensure_once()
            space = self.spaces.current
            choices = pick(await self._nearest(space, owner, query, limit))
            if not choices:
                return []
            ids = [each.id for each in choices]
            records = await self._client.retrieve(self._collection, ids, with_payload=True, with_vectors=[space.vector])
            return chosen(choices, _memories(owner, records, shared=True), records, space)

    async def _nearest(self, space: Space, owner: Owner, query: Query, limit: int) -> Hits:
        vectors = self._query_vectors(query)
        if not vectors:
            return Hits([], [])
        asked = product(search_filters(owner, query), vectors.items())
        requests = [
            self._request(where, space.vector if name == DENSE else name, vector, limit) for where, (name, vector) in asked
        ]
        answers = await self._client.query_batch_points(self._collection, requests)
        own, shared, *turns = by_name(vectors, [_hits(answer.points) for answer in answers])
        return to_hits([{name: _best(limit, own[name] + shared[name]) for name in vectors}, *turns])

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        with self._renamed():
            await self._ensure_once()
            space = self.spaces.current
            check_entries(entries, space.dimensions)
            for start in range(0, len(entries), SLICE):
                await self._upsert(space, owner, entries[start : start + SLICE])

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        with self._renamed():
            await self._ensure_once()
            for start in range(0, len(memories), SLICE):
                operations = [_overwriting(owner, memory) for memory in memories[start : start + SLICE]]
                await self._client.batch_update_points(self._collection, operations, wait=True)

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        return in_order(ids, await self._scroll(owner, with_ids(owner, ids, shared=True), shared=True))

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        same = any_of("digest", [digest(content) for content in contents])
        return await self._scroll(owner, models.Filter(must=[which_filter(owner, which), same]), shared=which.shared)

    async def list(self, owner: Owner, which: Which = Which(), *, limit: int) -> list[Memory]:
        with self._renamed():
            await self._ensure_once()
            records, _ = await self._client.scroll(
                self._collection,
                scroll_filter=which_filter(owner, which),
                order_by=models.OrderBy(key="created_at", direction=models.Direction.DESC),
                limit=limit,
                with_payload=True,
            )
            return _memories(owner, records, shared=which.shared)

    async def delete(self, owner: Owner, ids: Sequence[str]) -> int:
        return await self._delete(with_ids(owner, ids))

    async def erase(self, owner: Owner) -> int:
        return await self._delete(owner_filter(owner))

    async def purge(self) -> None:
        """Nothing to do from here: the server rewrites a segment when a fifth of it is deleted, and cuts its log as it grows.

        Until then the text is in the server's files, and in snapshots for as long as those are kept; a search never finds it.
        """

    async def count(self, owner: Owner | None, which: Which = Which()) -> int:
        with self._renamed():
            await self._ensure_once()
            return await self._count(None if owner is None else which_filter(owner, which))

    async def owners_of(self, ids: Sequence[str]) -> dict[str, Owner]:
        found: dict[str, Owner] = {}
        with self._renamed():
            await self._ensure_once()
            for start in range(0, len(ids), PAGE):
                some = point_ids(ids[start : start + PAGE])
                records = await self._client.retrieve(self._collection, some, with_payload=["tenant", "user"])
                found |= {str(each.id): to_owner(each.id, each.payload) for each in records}
        return found

    async def scan(self, after: str | None, *, limit: int, whose: Owner | str | None = None, vectors: bool = False) -> Records:
        return await self._scan(after, limit, filter_of(whose), vectors=vectors)

    async def _scan(self, after: str | None, limit: int, where: models.Filter | None, *, vectors: bool = False) -> Records:
        with self._renamed():
            await self._ensure_once()
            name = self.spaces.current.vector
            records, _ = await self._client.scroll(
                self._collection,
                scroll_filter=where,
                offset=next_id(after),
                limit=limit,
                with_payload=True,
                with_vectors=[name] if vectors else False,
            )
            return [to_kept(each.id, each.payload, each.vector, name) for each in records]

    # For another embedding model: see ``reembedding.Reembeddable``.

    @property
    def spaces(self) -> Spaces:
        if self._noted is None:
            raise StoreError(f"{self._where} has not been asked yet which models its vectors are of")
        return self._noted

    async def prepare(self, space: Space | None) -> None:
        """Noted before it is there: a vector that nobody noted is dropped with the next one that is prepared."""
        with self._renamed():
            await self._ensure_once()
            spaces = Spaces(self.spaces.current, space)
            await self._note(spaces)
            if _noted_spaces((await self._client.get_collection(self._collection)).config) != spaces:
                raise StoreError(f"{self._where} is too old for it: named vectors can be added from Qdrant 1.18 on")
            await self.drop_others()
            if space is not None and space.vector not in await self._sizes():
                dense = models.DenseVectorConfig(size=space.dimensions, distance=models.Distance.COSINE)
                wanted = models.DenseVectorNameConfig(dense=dense)
                await self._client.create_vector_name(self._collection, space.vector, wanted, wait=True)

    async def lacking(self, space: Space, after: str | None, *, limit: int) -> Records:
        return await self._scan(after, limit, without_vector(space))

    async def count_lacking(self, space: Space) -> int:
        with self._renamed():
            await self._ensure_once()
            return await self._count(without_vector(space))

    async def fill(self, space: Space, vectors: Mapping[str, Embedded]) -> None:
        with self._renamed():
            # A server refuses all for one point that has just been deleted.
            there = await self._client.retrieve(self._collection, [*vectors], with_payload=False)
            points = [models.PointVectors(id=str(each.id), vector={space.vector: [*vectors[str(each.id)]]}) for each in there]
            if points:
                await self._client.update_vectors(self._collection, points, wait=True)

    async def adopt(self) -> None:
        with self._renamed():
            await self._ensure_once()
            if self.spaces.coming is not None:
                await self._note_surely(Spaces(self.spaces.coming))
                self._wanted = self.spaces.current

    async def drop_others(self) -> None:
        with self._renamed():
            await self._ensure_once()
            for name in (await self._sizes()).keys() - self.spaces.names:
                await self._client.delete_vector_name(self._collection, name, wait=True)

    async def _sizes(self) -> dict[str, int]:
        return _dense_sizes((await self._client.get_collection(self._collection)).config.params)

    async def _note_surely(self, spaces: Spaces) -> None:
        """It may have been done although its answer was lost."""
        try:
            await self._note(spaces)
        except ApiException:
            if _noted_spaces((await self._client.get_collection(self._collection)).config) != spaces:
                raise
            self._noted = spaces

    async def _note(self, spaces: Spaces) -> None:
        await self._client.update_collection(self._collection, metadata={METADATA: render(spaces)})
        self._noted = spaces

    async def expired(self, since: datetime, until: datetime, after: str | None, *, limit: int) -> Records:
        where = ended_between(since, until)
        with self._renamed():
            await self._ensure_once()
            records, _ = await self._client.scroll(
                self._collection, scroll_filter=where, offset=next_id(after), limit=limit, with_payload=True
            )
            return [to_kept(each.id, each.payload, each.vector) for each in records]

    async def touch(self) -> None:
        with self._renamed():
            await self._ensure_once()
            # Another replica may have moved the collection to another model.
            self._settle((await self._client.get_collection(self._collection)).config)

    async def _ensure_once(self) -> None:
        if not self._ensured:
            await self.ensure()

    async def _create_collection(self, wanted: Space) -> None:
        try:
            await self._client.create_collection(
                self._collection,
                vectors_config={DENSE: models.VectorParams(size=wanted.dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
                quantization_config=self._quantization,
            )
        except UnexpectedResponse as exc:
            if b"already exists" not in exc.content:
                raise

    def _settle(self, found: models.CollectionConfig) -> Spaces:
        where = f"collection {self._collection!r} of {self._where}"
        sizes = _dense_sizes(found.params)
        if not sizes or SPARSE not in (found.params.sparse_vectors or {}):
            raise StoreMismatch(f"{where} is not one of memory-proxy: set another store.collection")
        return settle(_noted_spaces(found), sizes, self._wanted, where=where, elsewhere="another store.collection")

    async def _create_indexes(self, existing: Iterable[str]) -> None:
        for field in INDEXES.keys() - set(existing):
            await self._client.create_payload_index(self._collection, field, field_schema=INDEXES[field], wait=True)

    def _query_vectors(self, query: Query) -> dict[str, Vector]:
        vectors: dict[str, Vector] = {}
        if query.vector is not None:
            vectors[DENSE] = [*query.vector]
        words = self._encoder.query(query.text)
        if words.indices:
            vectors[SPARSE] = models.SparseVector(indices=words.indices, values=words.values)
        return vectors

    def _request(self, where: models.Filter, name: str, vector: Vector, limit: int) -> models.QueryRequest:
        return models.QueryRequest(
            query=vector,
            using=name,
            filter=where,
            limit=limit,
            with_payload=False,
            params=RESCORED if self._quantization is not None and name != SPARSE else None,
        )

    async def _delete(self, where: models.Filter) -> int:
        with self._renamed():
            await self._ensure_once()
            found = await self._count(where)
            if found:
                await self._client.delete(self._collection, models.FilterSelector(filter=where), wait=True)
            return found

    async def _upsert(self, space: Space, owner: Owner, entries: Sequence[Entry]) -> None:
        if await self._count(owned_by_others(owner, [entry.memory.id for entry in entries])):
            raise StoreError("a memory with one of these ids belongs to another owner")
        points = [self._point(space, owner, entry) for entry in entries]
        await self._client.upsert(self._collection, points, wait=True)

    def _point(self, space: Space, owner: Owner, entry: Entry) -> models.PointStruct:
        words = sparse_vector(self._encoder, entry.memory, entry.around)
        sparse = models.SparseVector(indices=words.indices, values=words.values)
        return models.PointStruct(
            id=entry.memory.id,
            vector={space.vector: [*entry.vector], SPARSE: sparse},
            payload=to_payload(owner, entry.memory),
        )

    async def _count(self, where: models.Filter | None) -> int:
        return (await self._client.count(self._collection, count_filter=where, exact=True)).count

    async def _scroll(self, owner: Owner, where: models.Filter, *, shared: bool) -> Memories:
        found: Memories = []
        offset: Any = None
        with self._renamed():
            await self._ensure_once()
            while True:
                records, offset = await self._client.scroll(
                    self._collection, scroll_filter=where, limit=PAGE, offset=offset, with_payload=True
                )
                found += _memories(owner, records, shared=shared)
                if offset is None:
                    return found

    @contextmanager
    def _renamed(self) -> Iterator[None]:
        try:
            yield
        # AssertionError and ValueError are the client's own checks: of what it sends, and of answers that lack their parts.
        except (ApiException, QdrantException, AssertionError, ValueError) as exc:
            # Whoever took the collection away, the next call makes it again.
            self._ensured = self._ensured and not _is_not_found(exc)
            raise StoreError(f"{self._where} {_complaint(exc)}") from exc


def _overwriting(owner: Owner, memory: Memory) -> models.OverwritePayloadOperation:
    """By filter, not by id: what *owner* doesn't have is not touched, and nobody can have changed that since it was asked."""
    return models.OverwritePayloadOperation(
        overwrite_payload=models.SetPayload(payload=to_payload(owner, memory), filter=with_ids(owner, [memory.id]))
    )


def _best(limit: int, hits: Iterable[Hit]) -> list[Hit]:
    """Each once: a search of everyone's own finds all twice."""
    return sorted({hit.id: hit for hit in hits}.values(), key=lambda hit: hit.score, reverse=True)[:limit]


def _hits(points: Iterable[models.ScoredPoint]) -> list[Hit]:
    return [Hit(str(point.id), point.score) for point in points]


def _memories(owner: Owner, records: Iterable[models.Record], *, shared: bool) -> list[Memory]:
    owners = owner_keys(owner, shared=shared)
    return [to_memory(owners, record.id, record.payload) for record in records]


def _dense_sizes(found: models.CollectionParams) -> dict[str, int]:
    """The sizes of our dense vectors, by name."""
    vectors = found.vectors if isinstance(found.vectors, dict) else {}
    return {name: each.size for name, each in vectors.items() if name.partition("-")[0] == DENSE}


def _noted_spaces(found: models.CollectionConfig) -> Spaces | None:
    """``None`` also from a server that is too old to keep such a note (before 1.16)."""
    noted = (found.metadata or {}).get(METADATA)
    return None if noted is None else parse(noted)


def _is_not_found(exc: Exception) -> bool:
    return isinstance(exc, UnexpectedResponse) and exc.status_code == 404


def _complaint(exc: Exception) -> str:
    source = exc.source if isinstance(exc, ResponseHandlingException) else exc
    if isinstance(source, UnexpectedResponse):
        return _answer(source)
    if isinstance(source, (AssertionError, ValueError)):
        # Only the name: pydantic's errors quote the values, which may be what somebody said.
        return f"gave no answer that its client understands: {type(source).__name__}"
    if isinstance(source, QdrantException):
        return f"has too much to do: {_one_line(source)}"
    return f"can't be reached: {type(source).__name__} {_one_line(source)}".rstrip()


def _answer(exc: UnexpectedResponse) -> str:
    if exc.status_code in (401, 403):
        return f"refused with {exc.status_code}: check store.api_key"
    return f"answered {exc.status_code} {exc.reason_phrase} {_reason(exc.content)}".rstrip()


def _reason(content: bytes) -> str:
    """Qdrant's ``status.error``. Any other answer may come from anywhere, and may repeat our own headers."""
    try:
        return " ".join(str(json.loads(content)["status"]["error"]).split())[:200]
    except (KeyError, TypeError, ValueError):
        return ""


def _one_line(exc: BaseException) -> str:
    return " ".join(str(exc).split())[:200]


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
