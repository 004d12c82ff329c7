"""The door of the operator stands before every call, and none of them leaves for the upstream."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from proxy.web.api.table import OPERATIONS
from tests.fakes import RunningProxy, memory_proxy, model_api
from tests.web.api.conftest import API, client_of, error

pytestmark = pytest.mark.asyncio(loop_scope="package")

CALLS = [(each.method, each.path.format(id="x", key="x", user="x")) for each in OPERATIONS]
JSON = {"Content-Type": "application/json"}
on_every_call = pytest.mark.parametrize(("method", "path"), CALLS, ids=lambda value: value)


async def ask(api: API, method: str, path: str, **headers: str) -> httpx.Response:
    body: dict[str, Any] = {"content": b"{}"} if method in ("POST", "PUT", "PATCH") else {}
    return await api.request(method, path, headers={**(JSON if body else {}), **headers}, **body)


@on_every_call
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "10.0.0.1"},
    ],
    ids=lambda value: next(iter(value)),
)
async def test_pages_and_proxies_are_kept_out(api: API, method: str, path: str, headers: dict[str, str]) -> None:
    assert error(await ask(api, method, path, **headers)) == (403, "forbidden", None)


@on_every_call
async def test_a_form_changes_nothing(api: API, method: str, path: str) -> None:
    if method in ("POST", "PUT", "PATCH"):
        response = await ask(api, method, path, **{"Content-Type": "text/plain"})
        assert error(response) == (415, "unsupported_media_type", None)


@pytest.fixture
async def locked(tmp_path: Path) -> AsyncIterator[RunningProxy]:
    async with model_api() as model, memory_proxy(model, tmp_path, auth__admin_token="right") as proxy:
        yield proxy


@pytest.mark.asyncio(loop_scope="function")
async def test_where_there_is_a_token_it_is_needed(locked: RunningProxy) -> None:
    async with client_of(locked) as nobody, client_of(locked, Authorization="Bearer right") as operator:
        for method, path in CALLS:
            assert error(await ask(nobody, method, path)) == (401, "invalid_admin_token", None)
        assert (await operator.post("/memories", json={"user": "ada", "content": "Likes tea"})).status_code == 201
        assert (await operator.get("/docs")).status_code == 200
    assert locked.model.seen == []


async def test_nothing_else_is_there(api: API, proxy: RunningProxy) -> None:
    for path in ("", "/", "/memory", "/memories/", "/memories/x/y", "/v1/models", "/docs/", "/openapi.yaml"):
        assert (await api.get(path)).status_code == 404
    assert [each for each in proxy.model.seen if "/memory" in each.path] == []
