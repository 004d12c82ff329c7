"""``/memory/v1/config`` of a proxy at work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.core.models import Memory, Owner
from proxy.memory import clock
from proxy.memory.store import Entry
from tests.fakes import ModelAPI, RunningProxy, memory_proxy, model_api, word_vector

ANN = Owner("ann")


@pytest.fixture
async def model() -> AsyncIterator[ModelAPI]:
    async with model_api() as model:
        yield model


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        yield client


@pytest.fixture
async def proxy(model: ModelAPI, tmp_path: Path) -> AsyncIterator[RunningProxy]:
    async with memory_proxy(model, tmp_path, store__api_key="sk-1") as proxy:
        yield proxy


def url(proxy: RunningProxy, query: str = "") -> str:
    return f"{proxy.address}/memory/v1/config{query}"


async def shown(client: aiohttp.ClientSession, proxy: RunningProxy) -> Any:
    async with client.get(url(proxy)) as answer:
        assert answer.status == 200
        return await answer.json()


async def change(client: aiohttp.ClientSession, proxy: RunningProxy, tree: object, query: str = "") -> Any:
    async with client.patch(url(proxy, query), json=tree) as answer:
        assert answer.status == 200
        return await answer.json()


async def recalled(client: aiohttp.ClientSession, proxy: RunningProxy) -> int:
    body = {"model": "m", "messages": [{"role": "user", "content": "Which tea is it?"}], "user": ANN.user}
    async with client.post(f"{proxy.url}/chat/completions", json=body, headers={"X-Memory-Mode": "read"}) as answer:
        return int(answer.headers["X-Memory-Recalled"])


async def test_it_shows_what_is_in_force_without_secrets(proxy, client):
    found = await shown(client, proxy)
    config = found.pop("config")
    assert found == {"object": "config", "changed": {}, "persisted": {}}
    assert (config["recall"]["limit"], config["store"]["api_key"], config["log"]) == (
        5,
        "********",
        {"level": "info", "format": "auto"},
    )


async def test_the_next_chat_is_given_what_the_changed_settings_allow(proxy, client):
    now = clock.now()
    teas = [Memory(id=f"5f8f4ee4-52d8-4f8e-9d0c-{i:012}", content=f"tea {i}", created_at=now, updated_at=now) for i in range(8)]
    await proxy.memory.store.upsert(ANN, [Entry(each, word_vector(each.content)) for each in teas])
    assert await recalled(client, proxy) == 5
    answer = await change(client, proxy, {"recall": {"limit": 2}, "log": {"level": "debug"}})
    assert answer["changed"] == {"recall.limit": {"old": 5, "new": 2}, "log.level": {"old": "info", "new": "debug"}}
    assert await shown(client, proxy) == answer
    # A message that was sent before is given what it was given before: the conversation is a new one.
    async with client.post(
        f"{proxy.url}/chat/completions",
        json={"model": "m", "messages": [{"role": "user", "content": "And which tea now?"}], "user": ANN.user},
    ) as chat:
        assert chat.headers["X-Memory-Recalled"] == "2"


async def test_what_is_changed_is_gone_at_restart_unless_it_was_kept(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy:
        await change(client, proxy, {"recall": {"limit": 8}})
        answer = await change(client, proxy, {"recall": {"turn_limit": "0"}}, "?persist=true")
        kept = {"recall.turn_limit": {"value": 0, "overridden_by": None}}
        assert (answer["changed"].keys(), answer["persisted"]) == ({"recall.limit", "recall.turn_limit"}, kept)
    async with memory_proxy(model, tmp_path) as proxy:
        answer = await shown(client, proxy)
        assert (answer["changed"], answer["persisted"]) == ({}, kept)
        assert (answer["config"]["recall"]["limit"], answer["config"]["recall"]["turn_limit"]) == (5, 0)


async def test_a_variable_that_will_override_what_is_kept_is_told(model, client, tmp_path, monkeypatch):
    monkeypatch.setenv("MEMORY_PROXY_LOG__LEVEL", "warning")
    async with memory_proxy(model, tmp_path) as proxy:
        answer = await change(client, proxy, {"log": {"level": "error"}}, "?persist=true")
    assert answer["persisted"] == {"log.level": {"value": "error", "overridden_by": "MEMORY_PROXY_LOG__LEVEL"}}


FIXED = "can't be changed while the proxy runs, only before it starts"
MISTAKES = {
    ('{"recall": {"turn_limit": 1, "limit": 99}}', ""): ("recall.limit", "recall.limit: '99' is not allowed; use 1 to 50"),
    ('{"log": {"x": 1}}', ""): ("log.x", "log.x: unknown option; allowed here: level, format"),
    ('{"auth": {"admin_token": "t"}}', ""): ("auth.admin_token", f"auth.admin_token: {FIXED}"),
    ("{}", "?persist=yes"): ("persist", "persist: must be true or false"),
    ("[1]", ""): (None, "the body: should be an object"),
    ("{", ""): (None, "The body is not JSON: unexpected end of data at line 1, column 2"),
}


async def test_a_mistake_is_a_400_that_names_the_option_and_changes_nothing(proxy, client):
    headers = {"Content-Type": "application/json"}
    for (body, query), (param, message) in MISTAKES.items():
        async with client.patch(url(proxy, query), data=body.encode("latin-1"), headers=headers) as answer:
            error = {"message": message, "type": "invalid_request_error", "param": param, "code": "bad_request"}
            assert (answer.status, await answer.json()) == (400, {"error": error})
    assert (await shown(client, proxy))["changed"] == {}


async def test_what_can_t_be_written_is_a_500_and_changes_nothing(proxy, client, tmp_path):
    (tmp_path / "settings.new").mkdir()
    async with client.patch(url(proxy, "?persist=true"), json={"recall": {"limit": 8}}) as answer:
        message = (await answer.json())["error"]["message"]
    assert (answer.status, message) == (
        500,
        f"{tmp_path / 'settings.yaml'} can't be written: Is a directory; nothing was changed",
    )
    assert (await shown(client, proxy))["changed"] == {}


async def test_it_stands_behind_the_door(model, client, tmp_path):
    async with memory_proxy(model, tmp_path, auth__admin_token="right") as proxy:
        async with client.get(url(proxy)) as answer:
            assert answer.status == 401
        async with client.patch(url(proxy), json={}) as answer:
            assert answer.status == 401
