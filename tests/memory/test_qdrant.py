"""What only the server store does: making sure of the collection, and naming what a server may do wrong."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy import config
from proxy.core.models import Memory, Owner
from proxy.errors import StoreError, StoreMismatch
from proxy.memory.edge import Bm25Encoder
from proxy.memory.qdrant import QdrantStore, open_qdrant
from proxy.memory.store import Hit, Hits, Query
from tests.fakes import Sight, look

ANN = Owner("ann")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
KEY = "s3kret"
TURN = {"key": "type", "match": {"value": "turn"}}
OURS = {
    "vectors": {"dense": {"size": 8, "distance": "Cosine"}},
    "sparse_vectors": {"sparse": {"modifier": "idf"}},
}
INDEXES = {
    "owner": {"type": "keyword", "is_tenant": True},
    **{field: {"type": "keyword"} for field in ("tenant", "type", "scope", "session", "digest", "key")},
    **{field: {"type": "datetime"} for field in ("created_at", "valid_from", "valid_until")},
}


class FakeQdrant:
    """The collection calls of a server, and what it *found* for the first searches of a batch; keeps what it was sent."""

    def __init__(self) -> None:
        self.params: dict[str, Any] | None = None
        self.schema: dict[str, Any] = {}
        self.created: list[dict[str, Any]] = []
        self.searches: list[dict[str, Any]] = []
        self.found: Any = []
        self.revisions: list[list[dict[str, Any]]] = []
        self.keys: set[str | None] = set()
        self.hides_once = False

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/collections/memories/exists", self._exists)
        app.router.add_get("/collections/memories", self._get)
        app.router.add_put("/collections/memories", self._create)
        app.router.add_put("/collections/memories/index", self._create_index)
        app.router.add_post("/collections/memories/points/query/batch", self._search)
        app.router.add_post("/collections/memories/points", self._retrieve)
        app.router.add_post("/collections/memories/points/batch", self._revise)
        return app

    async def _exists(self, request: web.Request) -> web.Response:
        self.keys.add(request.headers.get("api-key"))
        hidden, self.hides_once = self.hides_once, False
        return answer({"exists": self.params is not None and not hidden})

    async def _get(self, request: web.Request) -> web.Response:
        if self.params is None:
            return refusal(404, "Not found: Collection `memories` doesn't exist!")
        hnsw = {"m": 0, "ef_construct": 100, "full_scan_threshold": 10000}
        optimizer = {
            "deleted_threshold": 0.2,
            "vacuum_min_vector_number": 1000,
            "default_segment_number": 0,
            "flush_interval_sec": 5,
        }
        return answer({
            "status": "green", "optimizer_status": "ok", "segments_count": 1,
            "config": {"params": self.params, "hnsw_config": hnsw, "optimizer_config": optimizer},
            "payload_schema": {field: {"data_type": params["type"], "points": 0} for field, params in self.schema.items()},
        })  # fmt: skip

    async def _create(self, request: web.Request) -> web.Response:
        if self.params is not None:
            return refusal(409, "Wrong input: Collection `memories` already exists!")
        self.created.append(await request.json())
        self.params = {key: self.created[-1][key] for key in ("vectors", "sparse_vectors")}
        return answer(True)

    async def _create_index(self, request: web.Request) -> web.Response:
        assert request.query["wait"] == "true"
        asked = await request.json()
        self.schema[asked["field_name"]] = asked["field_schema"]
        return answer({"operation_id": 1, "status": "completed"})

    async def _search(self, request: web.Request) -> web.Response:
        if self.params is None:
            return refusal(404, "Not found: Collection `memories` doesn't exist!")
        asked = (await request.json())["searches"]
        self.searches += asked
        return answer(None if self.found is None else self.found + [{"points": []}] * (len(asked) - len(self.found)))

    async def _retrieve(self, request: web.Request) -> web.Response:
        wanted = (await request.json())["ids"]
        return answer([point for found in self.found for point in found["points"] if str(point["id"]) in wanted])

    async def _revise(self, request: web.Request) -> web.Response:
        assert request.query["wait"] == "true"
        self.revisions.append((await request.json())["operations"])
        return answer([{"operation_id": 1, "status": "completed"} for _ in self.revisions[-1]])


def answer(result: Any) -> web.Response:
    return web.json_response({"result": result, "status": "ok", "time": 0.0})


def refusal(status: int, error: str) -> web.Response:
    return web.json_response({"status": {"error": error}, "time": 0.0}, status=status)


@pytest.fixture
def fake() -> FakeQdrant:
    return FakeQdrant()


@pytest.fixture
async def settings(fake: FakeQdrant) -> AsyncIterator[config.Store]:
    async with TestServer(fake.app()) as server:
        yield config.Store(url=str(server.make_url("")), api_key=KEY)


def opened(settings: config.Store) -> AbstractAsyncContextManager[QdrantStore]:
    return open_qdrant(settings, 8, Bm25Encoder())


async def search(store: QdrantStore) -> Sight:
    return await look(store, ANN, Query("oboe", [1.0] * 8), limit=5)


async def test_the_collection_is_made_for_many_owners(fake: FakeQdrant, settings: config.Store) -> None:
    async with opened(settings) as store:
        await store.ensure()
    assert fake.created == [OURS | {"hnsw_config": {"m": 0, "payload_m": 16}}]
    assert fake.schema == INDEXES
    assert fake.keys == {KEY}


@pytest.mark.parametrize(
    ("quantization", "expected"),
    [
        ("scalar", {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}),
        ("binary", {"binary": {"always_ram": True}}),
    ],
)
async def test_quantised_vectors_choose_and_the_original_ones_decide(
    fake: FakeQdrant, settings: config.Store, quantization: Any, expected: dict[str, Any]
) -> None:
    async with opened(replace(settings, quantization=quantization)) as store:
        await search(store)
    assert fake.created[0]["quantization_config"] == expected
    assert [each.get("params") for each in fake.searches] == [{"quantization": {"rescore": True, "oversampling": 2.0}}, None] * 2


async def test_every_search_is_of_one_owner_and_of_what_may_be_seen_now(fake: FakeQdrant, settings: config.Store) -> None:
    async with opened(settings) as store:
        assert await look(store, ANN, Query("oboe", [1.0] * 8, session="s", turns=True), limit=5) == Sight([], [])
    memories, turns = {"must_not": [TURN]}, {"must": [{"key": "type", "match": {"any": ["turn"]}}]}
    assert [(_owner(each), each["filter"]["must"][1], each["using"]) for each in fake.searches] == [
        ("default\x1fann", memories, "dense"),
        ("default\x1fann", memories, "sparse"),
        ("default\x1f", memories, "dense"),
        ("default\x1f", memories, "sparse"),
        ("default\x1fann", turns, "dense"),
        ("default\x1fann", turns, "sparse"),
    ]
    for each in fake.searches:
        assert (each["limit"], each["with_payload"]) == (5, False)
        past, elsewhere = each["filter"]["must_not"]
        assert (past["key"], list(past["range"])) == ("valid_until", ["lte"])
        assert elsewhere == {
            "must": [{"key": "scope", "match": {"value": "session"}}],
            "must_not": [{"key": "session", "match": {"value": "s"}}],
        }


def _owner(search: dict[str, Any]) -> str:
    """Whose points a search is of, and of nobody else's."""
    [condition] = search["filter"]["must"][0]["must"]
    [owner] = condition["match"]["any"]
    assert condition["key"] == "owner"
    return str(owner)


async def test_what_is_shared_stands_among_the_own_by_its_score(fake: FakeQdrant, settings: config.Store) -> None:
    fake.found = [
        {"points": [{"id": n, "version": 1, "score": score} for n, score in found]}
        for found in ([(1, 0.9), (2, 0.5)], [], [(3, 0.7)], [(4, 3.0)])
    ]
    seen: list[Hits] = []
    async with opened(settings) as store:
        await store.search(ANN, Query("oboe", [1.0] * 8), limit=2, pick=lambda hits: seen.append(hits) or [])
    assert seen == [Hits(dense=[Hit("1", 0.9), Hit("3", 0.7)], sparse=[Hit("4", 3.0)])]


async def test_a_revision_names_the_owner_beside_the_id(fake: FakeQdrant, settings: config.Store) -> None:
    memory = Memory(str(UUID(int=1)), "Likes tea", NOW, NOW)
    async with opened(settings) as store:
        await store.revise(ANN, [memory])
    [[revision]] = fake.revisions
    assert revision["overwrite_payload"]["payload"]["content"] == "Likes tea"
    assert revision["overwrite_payload"]["filter"] == {
        "must": [{"must": [{"key": "owner", "match": {"any": ["default\x1fann"]}}]}, {"has_id": [memory.id]}]
    }


async def test_what_is_there_is_taken_as_it_is_and_only_missing_indexes_are_made(
    fake: FakeQdrant, settings: config.Store
) -> None:
    fake.params, fake.schema = OURS, {"owner": {"type": "keyword"}}
    async with opened(settings) as store:
        await store.ensure()
    assert fake.created == []
    assert fake.schema == INDEXES | {"owner": {"type": "keyword"}}


async def test_a_replica_that_was_faster_is_fine(fake: FakeQdrant, settings: config.Store) -> None:
    fake.params, fake.hides_once = OURS, True
    async with opened(settings) as store:
        await store.ensure()
    assert fake.created == []
    assert fake.schema == INDEXES


async def test_replicas_may_start_together(fake: FakeQdrant, settings: config.Store) -> None:
    async with opened(settings) as one, opened(settings) as other:
        await asyncio.gather(one.ensure(), other.ensure())
    assert len(fake.created) == 1


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        (
            OURS | {"vectors": {"dense": {"size": 384, "distance": "Cosine"}}},
            (
                "holds vectors of 384 dimensions, but the embedding model makes 8: "
                "use the model that it was made with, or another store.collection, or move it with `memory-proxy reembed`"
            ),
        ),
        (OURS | {"vectors": {"size": 8, "distance": "Cosine"}}, "is not one of memory-proxy: set another store.collection"),
        (OURS | {"vectors": {}}, "is not one of memory-proxy: set another store.collection"),
        (OURS | {"sparse_vectors": None}, "is not one of memory-proxy: set another store.collection"),
    ],
)
async def test_a_collection_that_does_not_fit_is_a_mismatch_in_one_line(
    fake: FakeQdrant, settings: config.Store, params: dict[str, Any], complaint: str
) -> None:
    fake.params = params
    async with opened(settings) as store:
        with pytest.raises(StoreMismatch) as caught:
            await store.ensure()
    assert str(caught.value) == f"collection 'memories' of Qdrant at {settings.url} {complaint}"


async def test_a_collection_that_was_lost_is_made_again(fake: FakeQdrant, settings: config.Store) -> None:
    async with opened(settings) as store:
        await search(store)
        fake.params, fake.schema = None, {}
        with pytest.raises(StoreError, match="answered 404 Not Found Not found: Collection `memories` doesn't exist!"):
            await search(store)
        assert await search(store) == Sight([], [])
    assert (len(fake.created), fake.schema) == (2, INDEXES)


async def test_a_server_that_comes_later_is_used_then(fake: FakeQdrant, unused_tcp_port: int) -> None:
    settings = config.Store(url=f"http://127.0.0.1:{unused_tcp_port}")
    async with opened(settings) as store:
        with pytest.raises(StoreError) as caught:
            await store.ensure()
        with pytest.raises(StoreError):
            await store.touch()
        assert type(caught.value) is StoreError
        assert str(caught.value) == f"Qdrant at {settings.url} can't be reached: ConnectError All connection attempts failed"
        async with TestServer(fake.app(), port=unused_tcp_port):
            assert await search(store) == Sight([], [])


@pytest.fixture
def unused_tcp_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
    return port


async def hang(request: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return answer(True)


def always(response: Callable[[web.Request], web.Response]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handler(request: web.Request) -> web.Response:
        return response(request)

    return handler


@pytest.mark.parametrize(
    ("handler", "complaint"),
    [
        (always(lambda _: refusal(500, "Service internal error:\n no disk")), "answered 500 Internal Server Error Service internal error: no disk"),
        (always(lambda request: web.Response(status=502, text=str(request.headers))), "answered 502 Bad Gateway"),
        (always(lambda _: web.Response(status=401, text="Must provide an API key")), "refused with 401: check store.api_key"),
        (always(lambda _: web.Response(status=403, text="Forbidden")), "refused with 403: check store.api_key"),
        (always(lambda _: web.Response(status=429, headers={"Retry-After": "7"})), "has too much to do: Resource Exhausted Response"),
        (always(lambda _: web.Response(status=302, headers={"Location": "/"})), "answered 302 Found"),
        (always(lambda _: web.Response(text="<html>It works!")), "gave no answer that its client understands: JSONDecodeError"),
        (always(lambda _: web.Response(body=b"\xff\x00")), "gave no answer that its client understands: JSONDecodeError"),
        (always(lambda _: web.json_response([])), "gave no answer that its client understands: ValidationError"),
        (always(lambda _: web.json_response({"result": {"exists": "maybe"}})), "gave no answer that its client understands: ValidationError"),
        (always(lambda _: web.Response()), "gave no answer that its client understands: JSONDecodeError"),
        (hang, "can't be reached: ReadTimeout"),
    ],
)  # fmt: skip
async def test_a_server_that_does_wrong_is_one_line_without_secrets(
    handler: Callable[[web.Request], Awaitable[web.Response]], complaint: str
) -> None:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}"
        settings = config.Store(url=url.replace("//", f"//root:{KEY}@"), api_key=KEY, timeout_s=0.5)
        async with opened(settings) as store:
            with pytest.raises(StoreError) as caught:
                await search(store)
            with pytest.raises(StoreError):
                await store.touch()
    assert str(caught.value) == f"Qdrant at {url} {complaint}"


async def test_an_answer_without_its_result_is_a_store_error(fake: FakeQdrant, settings: config.Store) -> None:
    fake.found = None
    async with opened(settings) as store:
        with pytest.raises(StoreError, match="gave no answer that its client understands: AssertionError"):
            await search(store)


async def test_a_point_of_another_owner_in_the_answer_is_refused(fake: FakeQdrant, settings: config.Store) -> None:
    stray = {"id": 1, "version": 1, "score": 1.0, "payload": {"owner": "default\x1fben", "content": "Ben's"}}
    fake.found = [{"points": [stray]}]
    async with opened(settings) as store:
        with pytest.raises(StoreError, match="point 1 came back for an owner that it does not belong to"):
            await search(store)
