"""The store on a Qdrant server or cluster. The only importer of ``qdrant_client``.

One collection holds all owners, laid out as Qdrant advises for many tenants: no graph over everything (``m=0``),
one per owner (``payload_m=16``), and the owner's payload index marked as the tenant.

The proxy starts without the server. Whatever call comes first makes sure of the collection, and again after the server lost it.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import product
from typing import Any, cast
from urllib.parse import urlsplit

from qdrant_client import AsyncQdrantClient, models
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from proxy import config
from proxy.core.models import MEMORY_TYPES, TURN, Memory, Owner, ScoredMemory
from proxy.errors import StoreError, StoreMismatch
from proxy.memory import clock
from proxy.memory.indexing import sparse_vector
from proxy.memory.payload import (
    DENSE,
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
from proxy.memory.store import Entry, Hit, Hits, Pick, Query, Records, SparseEncoder, Which, digest

# Inside the class below, ``list`` is a method.
Memories = list[Memory]
Vector = list[float] | models.SparseVector

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
async def open_qdrant(settings: config.Store, dimensions: int, encoder: SparseEncoder) -> AsyncIterator[QdrantStore]:
    """The store at ``store.url``, closed on leaving. Doesn't connect: call ``ensure`` to know at once whether all is well."""
    client = AsyncQdrantClient(
        url=settings.url,
        timeout=math.ceil(settings.timeout_s),
        # As a header: api_key= prints a Python warning for plain HTTP, which is the rule inside a cluster.
        headers={"api-key": settings.api_key} if settings.api_key else None,
        # The check would be a thread and a request of its own, whose failure is another warning.
        check_compatibility=False,
    )
    try:
        yield QdrantStore(client, settings, dimensions, encoder)
    finally:
        await client.close()


class QdrantStore:
    def __init__(self, client: AsyncQdrantClient, settings: config.Store, dimensions: int, encoder: SparseEncoder) -> None:
        self._client = client
        self._collection = settings.collection
        self._quantization = QUANTIZATION.get(settings.quantization)
        self._dimensions = dimensions
        self._encoder = encoder
        self._where = f"Qdrant at {_without_userinfo(settings.url)}"
        self._ensured = False

    async def ensure(self) -> None:
        """See that the collection is there and fits. ``StoreMismatch`` if it doesn't fit, ``StoreError`` if nobody can tell.

        Replicas of the proxy may do this at the same time: every step can be done twice.
        """
        with self._renamed():
            if not await self._client.collection_exists(self._collection):
                await self._create_collection()
            found = await self._client.get_collection(self._collection)
            self._check(found.config.params)
            await self._create_indexes(found.payload_schema)
        self._ensured = True

    async def search(self, owner: Owner, query: Query, *, limit: int, pick: Pick) -> list[ScoredMemory]:
        with self._renamed():
            choices = pick(await self._nearest(owner, query, limit))
            if not choices:
                return []
            ids = [each.id for each in choices]
            records = await self._client.retrieve(self._collection, ids, with_payload=True, with_vectors=[DENSE])
            return chosen(choices, _memories(owner, records, shared=True), _dense_vectors(records))

    async def _nearest(self, owner: Owner, query: Query, limit: int) -> Hits:
        vectors = self._query_vectors(query)
        if not vectors:
            return Hits([], [])
        await self._ensure_once()
        asked = product(search_filters(owner, query), vectors.items())
        requests = [self._request(where, name, vector, limit) for where, (name, vector) in asked]
        answers = await self._client.query_batch_points(self._collection, requests)
        own, shared, *turns = by_name(vectors, [_hits(answer.points) for answer in answers])
        return to_hits([{name: _best(limit, own[name] + shared[name]) for name in vectors}, *turns])

    async def upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        check_entries(entries, self._dimensions)
        with self._renamed():
            await self._ensure_once()
            for start in range(0, len(entries), SLICE):
                await self._upsert(owner, entries[start : start + SLICE])

    async def revise(self, owner: Owner, memories: Sequence[Memory]) -> None:
        with self._renamed():
            await self._ensure_once()
            for start in range(0, len(memories), SLICE):
                operations = [_overwriting(owner, memory) for memory in memories[start : start + SLICE]]
                await self._client.batch_update_points(self._collection, operations, wait=True)

    async def get(self, owner: Owner, ids: Sequence[str]) -> list[Memory]:
        return in_order(ids, await self._scroll(owner, _with_ids(owner, ids, shared=True), shared=True))

    async def find(self, owner: Owner, contents: Sequence[str], which: Which = Which()) -> list[Memory]:
        same = _any_of("digest", [digest(content) for content in contents])
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
        return await self._delete(_with_ids(owner, ids))

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
        with self._renamed():
            await self._ensure_once()
            records, _ = await self._client.scroll(
                self._collection,
                scroll_filter=_of(whose),
                offset=next_id(after),
                limit=limit,
                with_payload=True,
                with_vectors=[DENSE] if vectors else False,
            )
            return [to_kept(each.id, each.payload, each.vector) for each in records]

    async def touch(self) -> None:
        with self._renamed():
            await self._ensure_once()
            await self._client.get_collection(self._collection)

    async def _ensure_once(self) -> None:
        if not self._ensured:
            await self.ensure()

    async def _create_collection(self) -> None:
        try:
            await self._client.create_collection(
                self._collection,
                vectors_config={DENSE: models.VectorParams(size=self._dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
                hnsw_config=models.HnswConfigDiff(m=0, payload_m=16),
                quantization_config=self._quantization,
            )
        except UnexpectedResponse as exc:
            if b"already exists" not in exc.content:
                raise

    def _check(self, found: models.CollectionParams) -> None:
        dense = found.vectors.get(DENSE) if isinstance(found.vectors, dict) else None
        if dense is None or SPARSE not in (found.sparse_vectors or {}):
            raise StoreMismatch(
                f"collection {self._collection!r} of {self._where} is not one of memory-proxy: set another store.collection"
            )
        if dense.size != self._dimensions:
            raise StoreMismatch(
                f"collection {self._collection!r} of {self._where} holds vectors of {dense.size} dimensions, but the embedding "
                f"model makes {self._dimensions}: use the model that it was made with, or another store.collection"
            )

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
            params=RESCORED if self._quantization is not None and name == DENSE else None,
        )

    async def _delete(self, where: models.Filter) -> int:
        with self._renamed():
            await self._ensure_once()
            found = await self._count(where)
            if found:
                await self._client.delete(self._collection, models.FilterSelector(filter=where), wait=True)
            return found

    async def _upsert(self, owner: Owner, entries: Sequence[Entry]) -> None:
        if await self._count(_owned_by_others(owner, [entry.memory.id for entry in entries])):
            raise StoreError("a memory with one of these ids belongs to another owner")
        points = [self._point(owner, entry) for entry in entries]
        await self._client.upsert(self._collection, points, wait=True)

    def _point(self, owner: Owner, entry: Entry) -> models.PointStruct:
        words = sparse_vector(self._encoder, entry.memory, entry.around)
        sparse = models.SparseVector(indices=words.indices, values=words.values)
        return models.PointStruct(
            id=entry.memory.id,
            vector={DENSE: [*entry.vector], SPARSE: sparse},
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


def owner_filter(owner: Owner, *, shared: bool = False) -> models.Filter:
    """The one place where the server learns whose memories are meant: *owner*'s, and if *shared* everyone's."""
    return models.Filter(must=[_any_of("owner", owner_keys(owner, shared=shared))])


def search_filters(owner: Owner, query: Query) -> list[models.Filter]:
    """Of *owner*'s memories, of shared ones, and of turns if they are looked for.

    Two for memories: owners' graphs are not connected, so a search of two owners would stay in the first that it enters.
    """
    own, shared = owner_filter(owner), owner_filter(owner.everyone)
    memories = [_seen_by(own, query, query.types), _seen_by(shared, query, query.types)]
    return [*memories, _seen_by(own, query, (TURN,))] if query.turns else memories


def _seen_by(owned: models.Filter, query: Query, types: Sequence[str]) -> models.Filter:
    """What held at the time that is meant, and is not for another session only."""
    begun = [] if query.as_of is None else [_until("valid_from", query.as_of)]
    hidden = [_until("valid_until", query.as_of or clock.now()), _of_another_session(query.session)]
    return models.Filter(must=[owned, _of_types(types), *_made(query), *begun], must_not=hidden)


def _of(whose: Owner | str | None) -> models.Filter | None:
    """Of an owner, of all of a tenant, or everybody's."""
    if isinstance(whose, Owner):
        return owner_filter(whose)
    return None if whose is None else models.Filter(must=[_is("tenant", whose)])


def which_filter(owner: Owner, which: Which) -> models.Filter:
    owned = owner_filter(owner, shared=which.shared)
    begun = [] if which.as_of is None else [_until("valid_from", which.as_of)]
    named = [_is(field, value) for field, value in (("session", which.session), ("key", which.key)) if value is not None]
    past = [] if which.past else [_until("valid_until", which.as_of or clock.now())]
    return models.Filter(must=[owned, _of_types(which.types), *_made(which), *named, *begun], must_not=past)


def _made(which: Which | Query) -> list[models.Condition]:
    """When, and how important."""
    begun = [] if which.since is None else [_since("created_at", which.since)]
    ended = [] if which.until is None else [_until("created_at", which.until)]
    weighty = [] if which.min_importance is None else [_at_least("importance", which.min_importance)]
    return [*begun, *ended, *weighty]


def _of_types(types: Sequence[str]) -> models.Filter:
    """What has no type, or one that we don't know, is a memory."""
    if not {*MEMORY_TYPES} <= {*types}:
        return models.Filter(must=[_any_of("type", types)])
    return models.Filter(must_not=[] if TURN in types else [_is("type", TURN)])


def _of_another_session(session: str | None) -> models.Condition:
    return models.Filter(must=[_is("scope", "session")], must_not=[] if session is None else [_is("session", session)])


def _is(field: str, value: str) -> models.Condition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _any_of(field: str, values: Sequence[str]) -> models.Condition:
    return models.FieldCondition(key=field, match=models.MatchAny(any=[*values]))


def _until(field: str, time: datetime) -> models.Condition:
    return models.FieldCondition(key=field, range=models.DatetimeRange(lte=time))


def _since(field: str, time: datetime) -> models.Condition:
    return models.FieldCondition(key=field, range=models.DatetimeRange(gte=time))


def _at_least(field: str, least: float) -> models.Condition:
    return models.FieldCondition(key=field, range=models.Range(gte=least))


def _with_ids(owner: Owner, ids: Sequence[str], *, shared: bool = False) -> models.Filter:
    return models.Filter(must=[owner_filter(owner, shared=shared), models.HasIdCondition(has_id=[*point_ids(ids)])])


def _overwriting(owner: Owner, memory: Memory) -> models.OverwritePayloadOperation:
    """By filter, not by id: what *owner* doesn't have is not touched, and nobody can have changed that since it was asked."""
    return models.OverwritePayloadOperation(
        overwrite_payload=models.SetPayload(payload=to_payload(owner, memory), filter=_with_ids(owner, [memory.id]))
    )


def _owned_by_others(owner: Owner, ids: Sequence[str]) -> models.Filter:
    return models.Filter(must=[models.HasIdCondition(has_id=[*ids])], must_not=[owner_filter(owner)])


def _best(limit: int, hits: Iterable[Hit]) -> list[Hit]:
    """Each once: a search of everyone's own finds all twice."""
    return sorted({hit.id: hit for hit in hits}.values(), key=lambda hit: hit.score, reverse=True)[:limit]


def _hits(points: Iterable[models.ScoredPoint]) -> list[Hit]:
    return [Hit(str(point.id), point.score) for point in points]


def _memories(owner: Owner, records: Iterable[models.Record], *, shared: bool) -> list[Memory]:
    owners = owner_keys(owner, shared=shared)
    return [to_memory(owners, record.id, record.payload) for record in records]


def _dense_vectors(records: Iterable[models.Record]) -> dict[str, list[float]]:
    return {str(record.id): cast("dict[str, list[float]]", record.vector)[DENSE] for record in records}


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
