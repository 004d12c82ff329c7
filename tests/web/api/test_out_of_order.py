"""While a part is out of order, the memory API says so, and when to come back; chats don't wait for any of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.typing import EventDict

from proxy.errors import EmbedError, JournalError, StoreError
from tests.fakes import RunningProxy, memory_proxy, model_api
from tests.web.api.conftest import API, add, client_of, error, listed, message
from tests.web.api.test_doors import CALLS, ask
from tests.web.api.test_transfer import LINES, lines, record

NEED_NO_STORE = {
    *(("GET", path) for path in ("/openapi.json", "/docs", "/config", "/traces", "/reembed")),
    *[("PATCH", "/config"), ("DELETE", "/reembed")],
}
OTHERWISE = {("GET", "/traces/x"), ("GET", "/events"), ("POST", "/reembed")}
"""A trace that isn't there, no WebSocket, and what is told by the state of the job."""
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/memories"): {"user": "ada", "content": "x"},
    ("POST", "/memories/batch"): [{"user": "ada", "content": "x"}],
    ("PATCH", "/memories/x"): {"content": "x"},
    ("POST", "/search"): {"user": "ada", "query": "x"},
    ("PUT", "/facts/x"): {"value": "x"},
    ("PATCH", "/config"): {},
}
OUT = (503, "out_of_order", None)


async def test_every_call_says_so_while_the_store_is_away(tmp_path: Path) -> None:
    async with model_api() as model:
        model.embeds = False  # the store can't be opened without knowing its dimensions
        async with memory_proxy(model, tmp_path) as proxy, client_of(proxy) as api:
            for method, path in (each for each in CALLS if each not in OTHERWISE):
                user = "?user=ada" if path in ("/memories", "/facts", "/facts/x", "/facts/x/history", "/export") else ""
                url = f"{path}{user if method != 'POST' else ''}"
                if path == "/import":
                    response = await api.post(path, content=lines(record()), headers=LINES)
                elif (method, path) in BODIES:
                    response = await api.request(method, url, json=BODIES[method, path])
                else:
                    response = await ask(api, method, url)
                if (method, path) in NEED_NO_STORE:
                    assert response.status_code == 200
                else:
                    assert (error(response), response.headers.get("retry-after")) == (OUT, "1"), (method, path)
                    assert message(response).startswith("This can't be done now: the ")
                    assert response.headers["x-should-retry"] == "true"
            # The caller's mistakes are still told first.
            assert error(await api.get("/memories")) == (400, "bad_request", "user")


@pytest.mark.asyncio(loop_scope="package")
async def test_what_needs_no_vector_works_without_the_embedder(
    api: API, proxy: RunningProxy, ada: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await add(api, ada, "Likes tea")

    async def failing(*_: object) -> None:
        raise EmbedError("gone")

    for name in ("embed_query", "embed_documents"):
        monkeypatch.setattr(type(proxy.memory.embedder), name, failing)
    assert error(await api.post("/memories", json={"user": ada, "content": "Likes coffee"})) == OUT
    assert error(await api.patch(f"/memories/{memory['id']}", json={"content": "Likes coffee"})) == OUT
    assert error(await api.put("/facts/x", params={"user": ada}, json={"value": "y"})) == OUT
    assert error(await api.post("/import", content=lines(record(user=ada)), headers=LINES)) == OUT
    assert await listed(api, ada) == ["Likes tea"]
    assert (await api.delete(f"/memories/{memory['id']}")).status_code == 200
    assert await listed(api, ada) == []


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("failure", [StoreError("gone"), JournalError("gone")], ids=repr)
async def test_an_erasure_that_may_have_left_something_says_so(
    api: API, proxy: RunningProxy, ada: str, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    await add(api, ada)

    async def failing(*_: object) -> None:
        raise failure

    part = proxy.memory.store if isinstance(failure, StoreError) else proxy.memory.remember.journal
    monkeypatch.setattr(type(part), "erase", failing)
    assert error(await api.delete(f"/users/{ada}")) == OUT


@pytest.mark.asyncio(loop_scope="package")
async def test_a_memory_can_be_deleted_without_the_journal(
    api: API, proxy: RunningProxy, ada: str, monkeypatch: pytest.MonkeyPatch, log: list[EventDict]
) -> None:
    memory = await add(api, ada)

    async def failing(_: object) -> None:
        raise JournalError("gone")

    monkeypatch.setattr(type(proxy.memory.remember.journal), "forget_done", failing)
    assert (await api.delete(f"/memories/{memory['id']}")).status_code == 200
    assert [each["event"] for each in log if each["log_level"] == "warning"] == [
        "the answer that told of a deleted memory may still be in the journal's file"
    ]
