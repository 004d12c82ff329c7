"""What a request leaves in the log, and the trace that it is part of."""

from __future__ import annotations

import pytest

from tests.fakes import ABOUT_TEA, memory_proxy, model_api

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
async def model():
    async with model_api() as model:
        model.text = f"Noted.\n{ABOUT_TEA}"
        yield model


async def chat(client, proxy, **headers):
    body = {"model": headers.pop("model", "gpt-9"), "messages": [{"role": "user", "content": "I like green tea"}]}
    async with client.post(f"{proxy.url}/chat/completions", json=body, headers=headers) as answer:
        await answer.read()
        return answer.headers


async def lines(proxy, log):
    await proxy.settled()
    return [line for line in log if line["event"] == "request"]


async def test_the_line_of_a_chat_has_ids_and_figures(model, client, tmp_path, log):
    async with memory_proxy(model, tmp_path, recall__keep_turns="false") as proxy:
        await chat(client, proxy)
        await proxy.settled()
        told = await chat(client, proxy, traceparent=TRACEPARENT)
        [_, line] = await lines(proxy, log)
    times = {name: line.pop(name) for name in ("ms", "first_byte_ms", "own_ms")}
    assert line == {
        "event": "request",
        "log_level": "info",
        "method": "POST",
        "path": "/v1/chat/completions",
        "status": 200,
        "upstream": "default",
        "bytes": line["bytes"],
        "trace_id": TRACE,
        "trace": told["X-Memory-Trace"],
        "model": "gpt-9",
        "memory": "ok",
        "memories": 1,
        "blocks": 1,
    }
    assert 0 < times["own_ms"] < times["first_byte_ms"] <= times["ms"]


async def test_memory_that_is_off_has_no_part_in_the_line(model, client, tmp_path, log):
    async with memory_proxy(model, tmp_path) as proxy:
        await chat(client, proxy, **{"X-Memory-Mode": "off"})
        [line] = await lines(proxy, log)
    assert sorted(line) == ["bytes", "event", "log_level", "method", "ms", "path", "status", "upstream"]


async def test_a_model_that_is_no_name_is_not_logged(model, client, tmp_path, log):
    async with memory_proxy(model, tmp_path) as proxy:
        for name in ("x" * 101, "two\nlines", "\x1b[31mred"):
            await chat(client, proxy, model=name)
        logged = [line["model"] for line in await lines(proxy, log)]
    assert logged == [None] * 3


async def test_the_trace_goes_upstream_as_it_came_and_a_valid_one_into_the_log(model, client, tmp_path, log):
    headers = [
        ("traceparent", TRACEPARENT),
        ("TraceParent", f"cc-{TRACE}-b7ad6b7169203331-00-later"),
        ("traceparent", "00-it-is-not"),
    ]
    async with memory_proxy(model, tmp_path) as proxy:
        for name, value in headers:
            await chat(client, proxy, **{name: value, "tracestate": "a=1,b=2"})
            await chat(client, proxy, **{name: value, "X-Memory-Mode": "off"})
            async with client.get(f"{proxy.url}/models", headers={name: value}) as answer:
                await answer.read()
        seen = [(each.headers["traceparent"], each.headers.get("tracestate")) for each in model.seen]
        logged = [line.get("trace_id") for line in await lines(proxy, log)]
    assert seen == [each for _, value in headers for each in ((value, "a=1,b=2"), (value, None), (value, None))]
    assert logged == [TRACE] * 6 + [None] * 3
