"""What ``/metrics`` tells of requests and of parts, and to whom."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from tests.fakes import ABOUT_TEA, memory_proxy, model_api

DEAD = "http://127.0.0.1:9/v1"
SECRETS = ("canary-user", "canary-session", "canary-text", "canary-key", "canary-model", "canary-tenant")


@pytest.fixture
async def model():
    async with model_api() as model:
        model.text = f"Noted.\n{ABOUT_TEA}"
        yield model


async def chat(client, proxy, content="I like green tea", *, stream=False, **headers):
    body = {"model": "canary-model", "stream": stream, "messages": [{"role": "user", "content": content}]}
    async with client.post(f"{proxy.url}/chat/completions", json=body, headers=headers) as answer:
        return answer.status, await answer.text()


async def scrape(client, proxy, **headers):
    async with client.get(f"{proxy.address}/metrics", headers=headers) as answer:
        return answer, await answer.text()


async def figures(client, proxy):
    """What is told, by name and labels, but for the buckets and what is 0."""
    _, text = await scrape(client, proxy)
    samples = [sample for family in prometheus(text) for sample in family.samples]
    return {
        (each.name.removeprefix("memory_proxy_"), *each.labels.values()): each.value
        for each in samples
        if each.value and not each.name.endswith(("_bucket", "_sum"))
    }


def some(found, *prefixes):
    return {key: value for key, value in found.items() if key[0].startswith(prefixes)}


async def test_requests_are_counted_by_route_and_status(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        for stream in (True, False, False):
            await chat(client, proxy, stream=stream)
        await chat(client, proxy, **{"X-Memory-Mode": "sometimes"})
        for path in ("/v1/models", "/memory/v1/nothing", "/health/live", "/health/nothing", "/metrics"):
            async with client.get(f"{proxy.address}{path}") as answer:
                await answer.read()
        found = await figures(client, proxy)
    assert some(found, "requests_total") == {
        ("requests_total", "chat", "200"): 3,
        ("requests_total", "chat", "400"): 1,
        ("requests_total", "passthrough", "200"): 2,
        ("requests_total", "api", "404"): 1,
        ("requests_total", "health", "200"): 1,
        ("requests_total", "metrics", "200"): 1,
    }
    assert some(found, "chat_", "held_back") == {
        ("chat_seconds_count", "stream"): 1,
        ("chat_seconds_count", "whole"): 3,
        ("chat_first_byte_seconds_count", "stream"): 1,
        ("chat_first_byte_seconds_count", "whole"): 2,
        ("chat_own_seconds_count",): 3,
        ("held_back_seconds_count",): 1,
    }


async def test_a_client_that_leaves_is_counted_as_such(model, client, tmp_path):
    model.pause_at = 3
    async with memory_proxy(model, tmp_path) as proxy:
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "tea"}]}
        async with client.post(f"{proxy.url}/chat/completions", json=body) as answer:
            await model.paused.wait()
            found = await figures(client, proxy)
            assert found["requests_under_way",] == 1
            answer.close()
        await model.left.wait()
        model.go_on.set()
        while ("requests_total", "chat", "499") not in (found := await figures(client, proxy)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert some(found, "requests_total", "requests_under") == {
        ("requests_total", "chat", "499"): 1,
        ("requests_total", "metrics", "200"): found["requests_total", "metrics", "200"],
    }


async def test_what_recall_takes_and_finds_is_told_by_step(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, recall__keep_turns="false") as proxy:
        for _ in range(2):
            await chat(client, proxy)
            await proxy.settled()
        found = await figures(client, proxy)
    steps = ("profile", "embed", "search", "select", "whole")
    assert some(found, "recall_seconds") == {("recall_seconds_count", each): 2 for each in steps}
    assert found["memories_recalled_total",] == 1


async def test_what_becomes_of_what_was_told_is_counted(model, client, tmp_path):
    key = "sk-proj-" + "a1" * 16
    items = '{"content":"Likes green tea"},{"content":"Does she like tea?"},{"content":"Her key is ' + key + '"}'
    model.text = f'Noted.\n<memory>{{"memories":[{items}]}}</memory>'
    only_write = {"X-Memory-Mode": "write"}
    async with memory_proxy(model, tmp_path) as proxy:
        await chat(client, proxy, stream=True, **only_write)
        await chat(client, proxy, **only_write)
        model.text, model.finish_reason = 'Noted.\n<memory>{"memories":[{"content":"Lives in Bonn"},{"cont', "length"
        await chat(client, proxy, "I live in Bonn", stream=True, **only_write)
        await proxy.settled()
        found = await figures(client, proxy)
    assert some(found, "memories_", "items_", "blocks", "redactions", "answers", "journal", "store_points", "embedder") == {
        ("blocks_total",): 3,
        ("blocks_truncated_total",): 1,
        ("blocks_malformed_total",): 1,
        ("memories_stored_total", "memory"): 3,
        ("memories_stored_total", "turn"): 2,
        ("memories_restated_total", "memory"): 2,
        ("items_refused_total", "question"): 2,
        ("redactions_total", "API key"): 2,
        ("store_points",): 5,
        ("embedder_texts_total", "document"): found["embedder_texts_total", "document"],
    }


async def test_how_long_text_is_held_back_is_measured_from_its_first_to_its_last(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        model.text = "No block in here. " * 5
        await chat(client, proxy, stream=True)
        assert "memory_proxy_held_back_seconds_sum 0.0\n" in (await scrape(client, proxy))[1]
        model.text, model.pause_at = f"Noted.\n{ABOUT_TEA}", 12
        asking = asyncio.create_task(chat(client, proxy, stream=True))
        await model.paused.wait()
        await asyncio.sleep(0.05)
        model.go_on.set()
        await asking
        _, text = await scrape(client, proxy)
    seconds = float(re.search(r"held_back_seconds_sum (\S+)", text)[1])
    assert 0.05 <= seconds < 5


async def test_chats_without_their_memories_are_counted_by_reason(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        model.embeds = False
        await chat(client, proxy)
        async with client.post(
            f"{proxy.url}/chat/completions", json={"model": "m", "user": "a\0b", "messages": [{"role": "user", "content": "x"}]}
        ) as answer:
            assert answer.headers["X-Memory-Status"] == "degraded; reason=user"
        found = await figures(client, proxy)
    assert some(found, "degraded") == {("degraded_chats_total", "embedder"): 1, ("degraded_chats_total", "user"): 1}


async def test_what_upstreams_do_is_counted_by_their_configured_names(model, client, tmp_path):
    upstreams = f"[{{name: other, base_url: {DEAD}, prefix: /other}}]"
    async with memory_proxy(model, tmp_path, upstreams=upstreams) as proxy:
        for path in ("/v1/models", "/other/v1/models", "/other/v1/models"):
            async with client.get(f"{proxy.address}{path}") as answer:
                await answer.read()
        found = await figures(client, proxy)
    assert some(found, "upstream_outcomes") == {
        ("upstream_outcomes_total", "2xx", "default"): 1,
        ("upstream_outcomes_total", "unreachable", "other"): 2,
    }
    assert [key[1] for key in found if key[0].startswith("upstream_last")] == ["default"]


async def test_an_answer_that_breaks_off_is_one_that_broke(model, client, tmp_path):
    async def half(request):
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.close()
        return answer

    model.handler = half
    async with memory_proxy(model, tmp_path) as proxy:
        async with client.get(f"{proxy.url}/models") as answer:
            with pytest.raises(aiohttp.ClientError):
                await answer.read()
        found = await figures(client, proxy)
    assert some(found, "upstream_outcomes") == {
        ("upstream_outcomes_total", "2xx", "default"): 1,
        ("upstream_outcomes_total", "broken", "default"): 1,
    }


async def test_requests_that_are_refused_are_counted(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, limits__requests=1) as proxy:
        model.pause_at = 1
        first = asyncio.create_task(chat(client, proxy, stream=True))
        await model.paused.wait()
        assert (await chat(client, proxy))[0] == 503
        found = await figures(client, proxy)
        model.go_on.set()
        await first
    assert some(found, "requests_") == {
        ("requests_total", "chat", "503"): 1,
        ("requests_under_way",): 1,
        ("requests_limit",): 1,
        ("requests_refused_total",): 1,
    }


async def test_with_everything_out_of_order_it_answers_and_leaves_out_what_it_can_t_know(model, client, tmp_path):
    (tmp_path / "taken").mkdir()
    options = {"store__kind": "qdrant", "store__url": "http://127.0.0.1:9", "journal__path": str(tmp_path / "taken")}
    async with memory_proxy(model, tmp_path, embedding__url=DEAD, upstream__base_url=DEAD, **options) as proxy:
        assert (await chat(client, proxy))[0] == 502
        answer, text = await scrape(client, proxy)
    assert answer.status == 200
    assert re.findall(r'^memory_proxy_part_in_order\{part="(\w+)"\} (\S+)$', text, re.MULTILINE) == [
        ("store", "0.0"),
        ("embedder", "0.0"),
        ("journal", "0.0"),
    ]
    assert "memory_proxy_store_points" not in text


async def test_a_store_that_does_not_answer_does_not_keep_the_scrape(model, client, tmp_path, monkeypatch):
    async def never(*_, **__):
        await asyncio.Event().wait()

    async with memory_proxy(model, tmp_path) as proxy:
        monkeypatch.setattr(proxy.memory.guards[0].part._store, "count", never)
        monkeypatch.setattr("proxy.web.metrics.parts._PATIENCE_S", 0.05)
        answer, text = await scrape(client, proxy)
        assert (answer.status, "memory_proxy_store_points" in text, "memory_proxy_journal_entries 0.0" in text) == (
            200,
            False,
            True,
        )
        assert proxy.memory.guards[0].health.well


async def test_whoever_asks_for_openmetrics_gets_it(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        await chat(client, proxy)
        plain, _ = await scrape(client, proxy)
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        answer, text = await scrape(client, proxy, Accept=accept)
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.content_type == "application/openmetrics-text"
    assert {"memory_proxy_requests", "memory_proxy_chat_seconds"} <= {family.name for family in openmetrics(text)}


async def test_no_label_holds_what_a_caller_said(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, identity__tenant="api_key", identity__tenant_secret="canary-tenant") as proxy:
        headers = {"X-Memory-User": "canary-user", "X-Memory-Session": "canary-session", "Authorization": "Bearer canary-key"}
        await chat(client, proxy, "I like canary-text", **headers)
        async with client.get(f"{proxy.url}/canary-path?key=canary-key", headers=headers) as answer:
            await answer.read()
        await proxy.settled()
        _, text = await scrape(client, proxy)
    assert "canary" not in text


async def test_figures_are_for_this_machine_and_for_whoever_has_the_token(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, auth__admin_token="t0ken") as proxy:
        assert (await scrape(client, proxy))[0].status == 200
        elsewhere = {"X-Forwarded-For": "10.0.0.9"}
        assert (await scrape(client, proxy, **elsewhere))[0].status == 401
        assert (await scrape(client, proxy, Authorization="Bearer t0ken", **elsewhere))[0].status == 200


async def test_who_wants_no_figures_has_none(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, metrics__enabled="false") as proxy:
        assert (await chat(client, proxy))[0] == 200
        assert (await scrape(client, proxy))[0].status == 404


async def test_two_proxies_in_one_process_count_for_themselves(model, client, tmp_path):
    async with memory_proxy(model, tmp_path / "a") as a, memory_proxy(model, tmp_path / "b") as b:
        await chat(client, a)
        counts = [("requests_total", "chat", "200") in await figures(client, each) for each in (a, b)]
    assert counts == [True, False]
