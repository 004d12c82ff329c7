"""One running proxy for all tests of the memory API; each test has users of its own.

Whatever it answers is held against its own OpenAPI document: status, media type, headers and schema.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import jsonschema_rs
import pytest
import pytest_asyncio

from proxy.web.api.openapi import document
from proxy.web.api.operation import BASE, JSON
from proxy.web.api.table import OPERATIONS
from tests.fakes import RunningProxy, memory_proxy, model_api

PATIENCE_S = 30

DOCUMENT = document(OPERATIONS)

API = httpx.AsyncClient


class Documented:
    """Knows what may be answered."""

    def __init__(self) -> None:
        self._paths = {re.compile(re.sub(r"\{\w+\}", "[^/]+", path)): path for path in DOCUMENT["paths"]}
        self._validators: dict[tuple[str, str, str], jsonschema_rs.Validator] = {}

    async def check(self, response: httpx.Response) -> None:
        """For an event hook of a client."""
        await response.aread()
        path = response.request.url.raw_path.decode().partition("?")[0]
        template = next((known for pattern, known in self._paths.items() if pattern.fullmatch(path)), None)
        method = response.request.method.lower().replace("head", "get")
        if template is None or method not in DOCUMENT["paths"][template]:
            assert response.status_code in (401, 403, 404, 405), response
            return
        self._check(response, template, method)

    def _check(self, response: httpx.Response, path: str, method: str) -> None:
        status = str(response.status_code)
        described = _resolved(DOCUMENT["paths"][path][method]["responses"][status])
        assert [name for name in described.get("headers", {}) if name not in response.headers] == []
        media = response.headers.get("content-type", "").partition(";")[0]
        assert media in described.get("content", {"": None}), (path, status, media)
        if media == JSON and response.content:
            validator = self._validator(path, method, status, described["content"][JSON]["schema"])
            assert [error.message for error in validator.iter_errors(response.json())] == []

    def _validator(self, path: str, method: str, status: str, schema: Any) -> jsonschema_rs.Validator:
        key = (path, method, status)
        if key not in self._validators:
            self._validators[key] = validator_of(schema)
        return self._validators[key]


def validator_of(schema: Any) -> jsonschema_rs.Validator:
    """For a *schema* of the document."""
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


def _resolved(tree: Any) -> Any:
    return DOCUMENT["components"]["responses"][tree["$ref"].rpartition("/")[2]] if "$ref" in tree else tree


def client_of(proxy: RunningProxy, **headers: str) -> API:
    hooks: dict[str, list[Callable[..., Any]]] = {"response": [Documented().check]}
    return API(base_url=f"{proxy.address}{BASE}", event_hooks=hooks, timeout=PATIENCE_S, headers=headers)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def proxy(folder: Path) -> AsyncIterator[RunningProxy]:
    async with model_api() as model, memory_proxy(model, folder) as proxy:
        yield proxy


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def api(proxy: RunningProxy) -> AsyncIterator[API]:
    async with client_of(proxy) as client:
        yield client


@pytest.fixture
def ada() -> str:
    return f"ada-{uuid4().hex[:8]}"


@pytest.fixture
def ben() -> str:
    return f"ben-{uuid4().hex[:8]}"


# What tests ask.


async def add(api: API, user: str, content: str = "Likes tea", **fields: Any) -> dict[str, Any]:
    response = await api.post("/memories", json={"user": user, "content": content, **fields})
    assert response.status_code == 201, response.text
    memory: dict[str, Any] = response.json()
    return memory


async def listed(api: API, user: str, **params: Any) -> list[str]:
    """The contents, newest first."""
    response = await api.get("/memories", params={"user": user, **params})
    assert response.status_code == 200, response.text
    return [each["content"] for each in response.json()["data"]]


async def history(api: API, id_: str) -> list[dict[str, Any]]:
    response = await api.get(f"/memories/{id_}/history")
    assert response.status_code == 200, response.text
    versions: list[dict[str, Any]] = response.json()["data"]
    return versions


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    """Status, code and param; that it is in OpenAI's shape, the client has checked."""
    body = response.json()["error"]
    return response.status_code, body["code"], body["param"]


def message(response: httpx.Response) -> str:
    text: str = response.json()["error"]["message"]
    return text


@pytest.fixture(autouse=True)
def no_internal_errors(log: list[Any]) -> Iterator[None]:
    yield
    assert [each for each in log if each["event"] == "unexpected error"] == []


async def say(proxy: RunningProxy, user: str, text: str, answer: str = "Noted.", *, session: str = "s1", **fields: Any) -> None:
    """A chat of *user*'s, and what comes of it."""
    proxy.model.text = answer
    body = {"model": "m", "user": user, "messages": [{"role": "user", "content": text, **fields}]}
    async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
        response = await client.post(f"{proxy.url}/chat/completions", json=body, headers={"X-Memory-Session": session})
    assert response.status_code == 200, response.text
    await proxy.settled()


def block(*memories: dict[str, Any], forget: list[str] | None = None) -> str:
    import json

    return f"<memory>{json.dumps({'memories': memories, 'forget': forget or []})}</memory>"
