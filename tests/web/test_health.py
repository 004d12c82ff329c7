"""Whether the proxy lives, whether it can do its work, and how each part is."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from tests.fakes import memory_proxy, model_api

DEAD = "http://127.0.0.1:9/v1"
CHAT = {"model": "m", "messages": [{"role": "user", "content": "tea"}]}


@pytest.fixture
async def model():
    async with model_api() as model:
        yield model


async def ready(client, proxy):
    """Status and body of ``/health/ready``, its times checked and taken out but for those that were asked for."""
    async with client.get(f"{proxy.address}/health/ready") as answer:
        body = await answer.json()
    for each in (*body["checks"].values(), *body["upstreams"].values()):
        for name in ("since", "answered", "failed"):
            if name in each:
                assert abs((datetime.now(UTC) - datetime.fromisoformat(each[name])).total_seconds()) < 60
                each[name] = "now"
    return answer.status, body


@asynccontextmanager
async def asking(client, proxy, times=1):
    for _ in range(times):
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT) as answer:
            await answer.read()
    yield await ready(client, proxy)


OK = {"state": "ok", "since": "now"}
ALL_WELL = {"store": OK, "embedder": OK, "journal": OK}


async def test_a_proxy_whose_parts_are_well_is_ready(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        async with client.get(f"{proxy.address}/health/live") as live:
            assert (live.status, await live.json()) == (200, {"status": "ok"})
        expected = {"status": "ok", "checks": ALL_WELL, "upstreams": {"default": {"state": "not seen"}}}
        assert await ready(client, proxy) == (200, expected)


async def test_a_proxy_with_a_part_that_is_out_of_order_lives_but_is_not_ready(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, embedding__url=DEAD) as proxy:
        async with client.get(f"{proxy.address}/health/live") as live:
            assert (live.status, await live.json()) == (200, {"status": "ok"})
        status, body = await ready(client, proxy)
        why = body["checks"]["embedder"].pop("why")
        assert (status, body["status"], body["checks"]["embedder"]) == (
            503,
            "unavailable",
            {"state": "out of order", "since": "now"},
        )
        assert "\n" not in why


async def test_a_journal_that_can_t_be_had_is_out_of_order(model, client, tmp_path):
    (tmp_path / "taken").mkdir()
    async with memory_proxy(model, tmp_path, journal__path=str(tmp_path / "taken")) as proxy:
        status, body = await ready(client, proxy)
        assert (status, body["checks"]["journal"]) == (
            503,
            {"state": "out of order", "since": "now", "why": "unable to open database file"},
        )


async def test_a_journal_that_nobody_wants_is_well(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, journal__enabled="false") as proxy:
        status, body = await ready(client, proxy)
        assert (status, body["checks"]["journal"]) == (200, {"state": "off", "since": "now"})


async def test_an_upstream_is_as_it_was_last_seen(model, client, tmp_path):
    upstreams = f"[{{name: other, base_url: {model.url}, prefix: /other}}]"
    async with memory_proxy(model, tmp_path, upstreams=upstreams) as proxy, asking(client, proxy) as (status, body):
        expected = {"default": {"state": "ok", "since": "now", "answered": "now"}, "other": {"state": "not seen"}}
        assert (status, body["upstreams"]) == (200, expected)
        assert [each.path for each in model.seen] == ["/v1/chat/completions"]


async def test_an_upstream_that_fails_takes_nobody_away_from_the_proxy(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, upstream__base_url=DEAD) as proxy, asking(client, proxy, times=2) as (status, body):
        why = body["upstreams"]["default"].pop("why")
        assert (status, body["upstreams"]) == (200, {"default": {"state": "failing", "since": "now", "failed": "now"}})
        assert why.startswith("The upstream can't be reached: ")


async def test_an_upstream_that_answers_again_is_well_again(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        model.handler = refuse
        async with asking(client, proxy) as (_, body):
            assert body["upstreams"]["default"] == {"state": "failing", "since": "now", "failed": "now", "why": "status 503"}
        model.handler = None
        async with asking(client, proxy) as (_, body):
            assert body["upstreams"]["default"] == {
                "state": "ok",
                "since": "now",
                "answered": "now",
                "failed": "now",
                "why": "status 503",
            }


async def refuse(_):
    return web.json_response({"error": {}}, status=503)
