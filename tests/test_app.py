"""The whole, opened and closed: what is missing is replaced, what an operator must decide stops the start."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from proxy import config as settings
from proxy.app import listening, make_app
from proxy.errors import ConfigError, StoreLocked, StoreMismatch
from proxy.memory.edge import Bm25Encoder, open_edge
from tests.fakes import ABOUT_TEA, DIMENSIONS, ModelAPI, memory_proxy, model_api, proxy_config

CHAT = {"model": "m", "messages": [{"role": "user", "content": "I like green tea"}], "user": "ann"}


@pytest.fixture
async def model() -> AsyncIterator[ModelAPI]:
    async with model_api() as model:
        model.text = f"Noted.\n{ABOUT_TEA}"
        yield model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as client:
        yield client


async def test_what_was_told_survives_a_restart(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy, client.post(f"{proxy.url}/chat/completions", json=CHAT) as answer:
        assert answer.status == 200
    async with memory_proxy(model, tmp_path) as proxy:
        assert await proxy.memories("ann") == ["Likes green tea"]


@pytest.mark.parametrize(
    ("part", "options"),
    [
        # Without a model nobody knows what vectors the store would have, so that is not there either.
        ("embedder", {"embedding__url": "http://127.0.0.1:9/v1"}),
        ("embedder", {"embedding__provider": "fastembed", "embedding__model": "BAAI/bge-small-en-v1.5"}),
        ("store", {"store__path": "file"}),
        ("store", {"store__kind": "qdrant", "store__url": "http://127.0.0.1:9"}),
    ],
    ids=["no embeddings", "no model", "no folder", "no server"],
)
async def test_without_a_part_it_serves_and_says_so(model, client, folder, part: str, options: dict[str, str]):
    (folder / "file").touch()
    async with memory_proxy(model, folder, embedding__models_dir="file/models", **options) as proxy:
        async with client.post(f"{proxy.url}/chat/completions", json=CHAT) as answer:
            content = (await answer.json())["choices"][0]["message"]["content"]
            assert (content, answer.headers["X-Memory-Status"]) == ("Noted.", "degraded; reason=store")
        async with client.get(f"{proxy.address}/health/ready") as ready:
            body = await ready.json()
            assert (ready.status, body["checks"][part]["state"]) == (503, "out of order")
        async with client.get(f"{proxy.address}/health/live") as live:
            assert (live.status, await live.json()) == (200, {"status": "ok"})


async def test_a_part_that_is_missing_is_said_in_the_log(model, tmp_path, log):
    async with memory_proxy(model, tmp_path, embedding__url="http://127.0.0.1:9/v1"):
        lines = [(line["event"], line["part"], line["log_level"]) for line in log]
    assert lines == [("out of order", "embedder", "error"), ("out of order", "store", "error")]


async def test_when_all_is_well_it_is_ready(model, client, tmp_path):
    async with memory_proxy(model, tmp_path) as proxy, client.get(f"{proxy.address}/health/ready") as ready:
        body = await ready.json()
        assert (ready.status, body["status"], {name: each["state"] for name, each in body["checks"].items()}) == (
            200,
            "ok",
            {"store": "ok", "embedder": "ok", "journal": "ok"},
        )


async def test_our_own_paths_are_never_relayed(model, client, tmp_path):
    expected = {
        ("GET", "/health/live"): 200,
        ("POST", "/health/live"): 200,
        ("GET", "/health/ready?x=1"): 200,
        ("GET", "/metrics"): 200,
        ("POST", "/memory/v1/memories"): 400,
        ("GET", "/memory/v1/nothing/here"): 404,
        ("GET", "/ui"): 404,
        ("GET", "/ui/a%0Ab"): 404,
        ("GET", "/"): 502,
        ("GET", "/health"): 502,
        ("GET", "/memory/v2"): 502,
        ("GET", "/uidance"): 502,
    }
    # Nothing listens on this upstream: what is relayed is a 502.
    async with memory_proxy(model, tmp_path, upstream__base_url="http://127.0.0.1:9/v1") as proxy:
        found = {}
        for method, path in expected:
            async with client.request(method, f"{proxy.address}{path}", json={} if method == "POST" else None) as answer:
                found[method, path] = answer.status
    assert found == expected


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_it_says_where_it_listens(model, client, tmp_path, host: str):
    async with memory_proxy(model, tmp_path, listen__host=host) as proxy, client.get(f"{proxy.address}/health/live") as answer:
        assert answer.status == 200


async def test_an_address_that_is_taken_stops_the_start_and_frees_the_store(model, tmp_path):
    async with memory_proxy(model, tmp_path / "a") as proxy:
        port = int(proxy.address.rpartition(":")[2])
        with pytest.raises(ConfigError, match=rf"\Alisten: can't listen on 127\.0\.0\.1:{port}: [^\n]*in use[^\n]*\Z"):
            async with listening(proxy_config(model, tmp_path / "b", listen__port=port)):
                pass
    async with memory_proxy(model, tmp_path / "b") as proxy:
        assert await proxy.memories("ann") == []


async def test_a_store_that_is_open_elsewhere_stops_the_start(model, tmp_path):
    async with open_edge(settings.Store(path=str(tmp_path)), DIMENSIONS, Bm25Encoder()):
        with pytest.raises(StoreLocked, match=r"is open in process \d+"):
            async with memory_proxy(model, tmp_path):
                pass


async def test_a_store_of_other_vectors_stops_the_start(model, tmp_path):
    async with open_edge(settings.Store(path=str(tmp_path)), 8, Bm25Encoder()):
        pass
    with pytest.raises(StoreMismatch, match="holds vectors of 8 dimensions"):
        async with memory_proxy(model, tmp_path):
            pass


async def test_at_the_command_line_a_locked_store_is_one_line_and_exit_1(model, tmp_path):
    (tmp_path / "proxy.yaml").write_text(
        f"embedding: {{provider: openai, model: words, url: {model.url}}}\nlisten: {{port: 0}}\n", encoding="utf-8"
    )
    async with open_edge(settings.Store(path=str(tmp_path)), DIMENSIONS, Bm25Encoder()):
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "proxy", "serve", "--data", str(tmp_path)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert (process.returncode, out, err.count(b"\n")) == (1, b"", 1)
    assert err.startswith(b"memory-proxy: ")
    assert b"is open in process" in err


async def test_the_instruction_can_be_one_s_own(model, client, tmp_path):
    (tmp_path / "own.txt").write_text("  Recuerda.\n", encoding="utf-8")
    async with (
        memory_proxy(model, tmp_path, extract__prompt=tmp_path / "own.txt") as proxy,
        client.post(f"{proxy.url}/chat/completions", json=CHAT) as answer,
    ):
        assert answer.status == 200
    assert model.last.json["messages"][0] == {"role": "system", "content": "Recuerda."}


@pytest.mark.parametrize("content", [None, b"\xff"])
async def test_an_instruction_that_can_t_be_read_stops_the_start(model, tmp_path: Path, content: bytes | None):
    if content is not None:
        (tmp_path / "own.txt").write_bytes(content)
    with pytest.raises(ConfigError, match=r"\Aextract\.prompt: .*own\.txt can't be read: "):
        async with memory_proxy(model, tmp_path, extract__prompt=tmp_path / "own.txt"):
            pass


async def test_without_any_user_the_configured_one_is_meant(model, client, tmp_path):
    body = {name: value for name, value in CHAT.items() if name != "user"}
    async with memory_proxy(model, tmp_path, identity__default_user="family") as proxy:
        async with client.post(f"{proxy.url}/chat/completions", json=body):
            pass
        assert await proxy.memories("family") == ["Likes green tea"]


def test_an_application_opens_nothing_before_it_starts(tmp_path):
    make_app(settings.Config(store=settings.Store(path=str(tmp_path / "data"))))
    assert list(tmp_path.iterdir()) == []
