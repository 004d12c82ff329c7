"""Whether the proxy lives, and whether it can do its work."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web

from proxy.errors import StoreError
from proxy.memory.guarded import guard_embedder, guard_store
from proxy.web import health
from tests.fakes import WordEmbedder


@asynccontextmanager
async def burning():
    raise StoreError("the store is on fire")
    yield


@asynccontextmanager
async def working():
    yield WordEmbedder()


async def health_of(start_server, client, *guards):
    app = web.Application()
    app.router.add_get("/live", health.live)
    app.router.add_get("/ready", health.ready)
    async with AsyncExitStack() as stack:
        app[health.GUARDS] = [await stack.enter_async_context(guard.running()) for guard in guards]
        address = await start_server(app)
        found = []
        for path in ("/live", "/ready"):
            async with client.get(f"{address}{path}") as response:
                found.append((response.status, await response.json()))
        return found


async def test_a_proxy_whose_parts_are_well_is_ready(start_server, client):
    assert await health_of(start_server, client, guard_embedder(working, deadline_s=60, retry_s=60)) == [
        (200, {"status": "ok"}),
        (200, {"status": "ok", "checks": {"embedder": {"state": "ok"}}}),
    ]


async def test_a_proxy_with_a_part_that_is_out_of_order_lives_but_is_not_ready(start_server, client):
    store = guard_store(burning, deadline_s=60, retry_s=60)
    embedder = guard_embedder(working, deadline_s=60, retry_s=60)
    live, (status, body) = await health_of(start_server, client, store, embedder)
    since = body["checks"]["store"].pop("since")
    assert (live, status, body) == (
        (200, {"status": "ok"}),
        503,
        {
            "status": "unavailable",
            "checks": {"store": {"state": "out of order", "why": "the store is on fire"}, "embedder": {"state": "ok"}},
        },
    )
    assert since.endswith("+00:00")
