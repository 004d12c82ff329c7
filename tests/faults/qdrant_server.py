"""A Qdrant server that breaks when it is told to. Its answers are those of ``qdrant_client``'s local mode, over HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models

from tests.faults.moods import Mood, well

NAME = "memories"
DONE = {"operation_id": 1, "status": "completed"}


class QdrantServer:
    """Listens on a port of its own, also after ``stop`` and ``listen``; *mood* does with each answer as it likes."""

    def __init__(self, client: AsyncQdrantClient) -> None:
        self._client = client
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._schema: dict[str, Any] = {}
        self.mood: Mood = well

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def listen(self) -> None:
        app = web.Application(client_max_size=1 << 30, middlewares=[self._in_its_mood])
        app.add_routes([
            web.get(f"/collections/{NAME}/exists", self._exists),
            web.get(f"/collections/{NAME}", self._get),
            web.put(f"/collections/{NAME}", self._create),
            web.patch(f"/collections/{NAME}", self._note),
            web.put(f"/collections/{NAME}/index", self._create_index),
            web.put(f"/collections/{NAME}/vectors/{{vector}}", self._create_vector),
            web.delete(f"/collections/{NAME}/vectors/{{vector}}", self._delete_vector),
            web.put(f"/collections/{NAME}/points/vectors", self._update_vectors),
            web.post(f"/collections/{NAME}/points/delete", self._delete),
            web.post(f"/collections/{NAME}/points/query/batch", self._search),
            web.post(f"/collections/{NAME}/points/scroll", self._scroll),
            web.post(f"/collections/{NAME}/points/count", self._count),
            web.post(f"/collections/{NAME}/points", self._retrieve),
            web.put(f"/collections/{NAME}/points", self._upsert),
            web.post(f"/collections/{NAME}/points/batch", self._revise),
        ])  # fmt: skip
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def lose_everything(self) -> None:
        await self._client.delete_collection(NAME)
        self._schema = {}

    @web.middleware
    async def _in_its_mood(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except ValueError as exc:  # so says local mode that there is no such collection
            answer = web.json_response({"status": {"error": f"Not found: {exc}"}, "time": 0.0}, status=404)
        return await self.mood(request, answer)

    async def _exists(self, _: web.Request) -> web.Response:
        return said({"exists": await self._client.collection_exists(NAME)})

    async def _get(self, _: web.Request) -> web.Response:
        info = plain(await self._client.get_collection(NAME))
        schema = {field: {"data_type": params["type"], "points": 0} for field, params in self._schema.items()}
        return said(info | {"payload_schema": schema})

    async def _create(self, request: web.Request) -> web.Response:
        asked = await read(request, models.CreateCollection)
        await self._client.create_collection(NAME, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors)
        return said(True)

    async def _note(self, request: web.Request) -> web.Response:
        return said(await self._client.update_collection(NAME, metadata=(await request.json())["metadata"]))

    async def _create_vector(self, request: web.Request) -> web.Response:
        asked = await read(request, models.DenseVectorNameConfig)
        await self._client.create_vector_name(NAME, request.match_info["vector"], asked)
        return said(DONE)

    async def _delete_vector(self, request: web.Request) -> web.Response:
        await self._client.delete_vector_name(NAME, request.match_info["vector"])
        return said(DONE)

    async def _update_vectors(self, request: web.Request) -> web.Response:
        asked = await read(request, models.UpdateVectors)
        await self._client.update_vectors(NAME, asked.points)
        return said(DONE)

    async def _delete(self, request: web.Request) -> web.Response:
        await self._client.delete(NAME, await read(request, models.FilterSelector))
        return said(DONE)

    async def _create_index(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self._schema[asked["field_name"]] = asked["field_schema"]
        return said(DONE)

    async def _search(self, request: web.Request) -> web.Response:
        asked = await read(request, models.QueryRequestBatch)
        return said([plain(each) for each in await self._client.query_batch_points(NAME, asked.searches)])

    async def _scroll(self, request: web.Request) -> web.Response:
        asked = await read(request, models.ScrollRequest)
        points, following = await self._client.scroll(
            NAME,
            scroll_filter=asked.filter,
            order_by=asked.order_by,
            limit=asked.limit,
            offset=asked.offset,
            with_payload=True,
            with_vectors=asked.with_vector or False,
        )
        return said({"points": [plain(each) for each in points], "next_page_offset": following})

    async def _count(self, request: web.Request) -> web.Response:
        asked = await read(request, models.CountRequest)
        return said(plain(await self._client.count(NAME, count_filter=asked.filter, exact=True)))

    async def _retrieve(self, request: web.Request) -> web.Response:
        asked = await read(request, models.PointRequest)
        found = await self._client.retrieve(NAME, asked.ids, with_payload=True, with_vectors=asked.with_vector)
        return said([plain(each) for each in found])

    async def _upsert(self, request: web.Request) -> web.Response:
        asked = await read(request, models.PointsList)
        await self._client.upsert(NAME, asked.points)
        return said(DONE)

    async def _revise(self, request: web.Request) -> web.Response:
        asked = await read(request, models.UpdateOperations)
        await self._client.batch_update_points(NAME, asked.operations)
        return said([DONE for _ in asked.operations])


async def read(request: web.Request, kind: type[Any]) -> Any:
    return kind.model_validate_json(await request.read())


def plain(value: BaseModel) -> dict[str, Any]:
    tree: dict[str, Any] = json.loads(value.model_dump_json(exclude_none=True))
    return tree


def said(result: Any) -> web.Response:
    return web.json_response({"result": result, "status": "ok", "time": 0.0})


@asynccontextmanager
async def qdrant_server() -> AsyncIterator[QdrantServer]:
    client = AsyncQdrantClient(":memory:")
    server = QdrantServer(client)
    await server.listen()
    try:
        yield server
    finally:
        await server.stop()
        await client.close()
