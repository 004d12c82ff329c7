"""What a chat recalled and what became of its answer, asked for through the whole proxy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.core.models import Owner
from tests.fakes import ModelAPI, memory_proxy, model_api
from tests.web.talk import Talk

HANG_S = 60
KEY = "sk-" + "proj-" + "a1B2" * 12
WORDS = ("Oslo", "tea", "Rex", "ordered")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with asyncio.timeout(HANG_S), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def model(stack: AsyncExitStack) -> ModelAPI:
    return await stack.enter_async_context(model_api())


@pytest.fixture
def start(stack: AsyncExitStack, model: ModelAPI, tmp_path: Path):
    async def start(**options: object) -> Talk:
        proxy = await stack.enter_async_context(memory_proxy(model, tmp_path, **options))
        return Talk(proxy, await stack.enter_async_context(aiohttp.ClientSession()))

    return start


def became(trace: Any) -> list[tuple[str, str | None]]:
    return [(each["became"], each["why"]) for each in trace["answer"]["items"]]


async def test_a_trace_tells_what_was_recalled_and_what_became_of_each_item(start):
    talk = await start(traces__content="true")
    first = await talk.get("/" + await talk.say("I live in Oslo and like tea", "Lives in Oslo", "Likes green tea"))
    oslo, tea = (each["id"] for each in first["answer"]["items"])
    items = [
        {"content": "Lives in Rome now", "replaces": "m1"},
        {"content": f"Has a dog called Rex, {KEY}", "replaces": "m99"},
        "Where is the carpet that I ordered?",
    ]
    trace = await talk.get("/" + await talk.say(f"Do I live in Oslo? {KEY}", *items, forget=("m77",)))
    about = [trace[each] for each in ("user", "tenant", "model", "status", "extract")]
    assert about == ["ann", "default", "m", "ok", "inline"]
    assert trace["recall"]["query"] == "Do I live in Oslo? [redacted: API key]"
    shown = {each["id"]: each["short_id"] for each in trace["recall"]["injected"]}
    assert shown[oslo] == "m1"
    candidates = {each["id"]: each for each in trace["recall"]["candidates"]}
    assert (candidates[oslo]["content"], candidates[oslo]["dropped"]) == ("Lives in Oslo", None)
    assert candidates[first["answer"]["turn"]["id"]]["dropped"] == "turn"
    assert candidates[tea]["dropped"] in ("floor", None)
    assert trace["recall"]["tokens"]["memories"] == sum(each["tokens"] for each in trace["recall"]["injected"])
    assert [*trace["recall"]["steps_s"]] == ["profile", "embed", "search", "select"]
    assert became(trace) == [("stored", None), ("stored", None), ("refused", "question")]
    rome, rex, _ = trace["answer"]["items"]
    assert (rome["replaces"], trace["answer"]["ended"], rome["unknown"]) == (oslo, [oslo], None)
    assert (rex["content"], rex["redacted"]) == ("Has a dog called Rex, [redacted: API key]", ["API key"])
    assert rex["unknown"] == "m99"
    assert (trace["answer"]["state"], trace["answer"]["blocks"]) == ("done", 1)
    assert trace["answer"]["forget"] == {"ids": [], "unknown": ["m77"]}
    assert {rome["id"], rex["id"]} <= {each.id for each in await talk.proxy.memory.store.list(Owner("ann"), limit=9)}


async def test_by_default_there_are_no_words_in_it(start):
    talk = await start()
    await talk.say("I live in Oslo and like tea", "Lives in Oslo", "Likes green tea")
    await talk.say("Which tea do I like in Oslo?", "Has a dog called Rex", "Where is what I ordered?", forget=("m1", "Oslo"))
    listed = await talk.get("")
    assert [each["answer"]["state"] for each in listed["data"]] == ["done", "done"]
    assert listed["data"][0]["recall"]["injected"] != []
    assert [word for word in WORDS if word in json.dumps(listed)] == []


async def test_what_was_known_already_is_named(start):
    talk = await start()
    first = await talk.get("/" + await talk.say("I like tea", "Likes tea"))
    again = await talk.get("/" + await talk.say("I do like tea", "Likes tea", mode="write"))
    assert became(again) == [("duplicate", None)]
    assert again["answer"]["items"][0]["id"] == first["answer"]["items"][0]["id"]
    assert again["recall"] is None


async def test_the_latest_are_listed_newest_first(start):
    talk = await start()
    traces = [await talk.say("Hi, I am a nurse", user=user) for user in ("ann", "ben", "ann")]
    listed = await talk.get("")
    assert [each["id"] for each in listed.pop("data")] == traces[::-1]
    assert listed == {"object": "list", "has_more": False, "next_cursor": None}
    of_ann = await talk.get("?user=ann&limit=1")
    assert ([each["id"] for each in of_ann["data"]], of_ann["has_more"]) == ([traces[2]], True)
    assert (await talk.get("?user=ann&tenant=other"))["data"] == (await talk.get("?tenant=other"))["data"] == []


async def test_a_limit_that_is_none_is_refused(start):
    talk = await start()
    for limit in ("0", "1001", "-1", "x", "", "١", "1e2"):
        assert (await talk.get(f"?limit={limit}", status=400))["error"]["param"] == "limit"


async def test_what_is_not_there_is_not_found(start):
    talk = await start(traces__enabled="false")
    trace = await talk.say("I live in Oslo", "Lives in Oslo")
    assert (await talk.get(f"/{trace}", status=404))["error"]["code"] == "not_found"
    assert (await talk.get(""))["data"] == []


async def test_an_answer_that_waits_for_the_embedder_says_so(start, model):
    talk = await start(recall__retry_s="0.02")
    model.embeds = False
    trace = await talk.say("I live in Oslo", "Lives in Oslo")
    waiting = await talk.get(f"/{trace}")
    assert (waiting["answer"]["state"], became(waiting)) == ("waiting", [("waiting", None)])
    assert waiting["answer"]["why"]
    model.embeds = True
    while (await talk.get(f"/{trace}"))["answer"]["state"] != "done":  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert became(await talk.get(f"/{trace}")) == [("stored", None)]


async def test_a_chat_that_is_nobodys_has_a_trace_all_the_same(start):
    talk = await start()
    async with talk.client.post(f"{talk.proxy.url}/chat/completions", data=b"no JSON") as response:
        trace = await talk.get("/" + response.headers["X-Memory-Trace"])
    assert (trace["user"], trace["recall"], trace["answer"]["state"]) == (None, None, "none")


async def test_only_who_is_let_in_may_look(start):
    talk = await start(auth__admin_token="token")
    assert (await talk.get("", status=401))["error"]["code"] == "invalid_admin_token"
    assert (await talk.get("/x", status=401))["error"]["code"] == "invalid_admin_token"


async def test_a_trace_that_fails_costs_the_chat_nothing(start, monkeypatch, log):
    talk = await start()
    for name in ("put", "get"):
        monkeypatch.setattr(talk.proxy.memory.traces, name, None)
    await talk.say("I live in Oslo", "Lives in Oslo")
    assert await talk.proxy.memories("ann") == ["Lives in Oslo"]
    assert {line["event"] for line in log if line["log_level"] == "warning"} == {"a trace is not whole"}
