"""``memory-proxy reembed`` on the store itself, and what it says of a proxy that isn't there; with one it is in tests/test_reembedding.py."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from uuid import UUID

import pytest
import yaml

from proxy.cli import main
from proxy.config import Embedding, Store
from proxy.core.models import Memory, Owner
from proxy.memory.reembedding import Reembeddable
from proxy.memory.stores import open_store

ANN = Owner("ann")
NOW = datetime(2026, 3, 1, tzinfo=UTC)
TINY = Embedding(provider="openai", model="tiny")


async def fill() -> None:
    from proxy.memory.store import Entry

    async with open_store(Store(path="data"), 2, TINY) as store:
        await store.upsert(ANN, [Entry(Memory(str(UUID(int=n)), f"memory {n}", NOW, NOW), [1.0, 0.0]) for n in range(3)])


def looked_at() -> tuple[str, list[list[float]]]:
    """The model of the store, and its vectors."""

    async def look(store: Reembeddable) -> list[list[float]]:
        return [[round(value, 3) for value in each.vector] for each in await store.scan(None, limit=10, vectors=True)]

    async def opened() -> tuple[str, list[list[float]]]:
        async with open_store(Store(path="data"), None) as store:
            return store.spaces.current.model, await look(store)

    return asyncio.run(opened())


def test_the_store_is_moved_and_what_to_set_is_said(configured, capsys):
    asyncio.run(fill())
    assert main(["reembed", "--model", "small"]) == 0
    out, err = capsys.readouterr()
    assert yaml.safe_load(out.partition("\n\n")[2]) == {"embedding": {"provider": "openai", "model": "small"}}
    assert err == "re-embedding\n"
    assert looked_at() == ("small", [[0.6, 0.8]] * 3)
    assert main(["doctor"]) == 1
    assert (
        "was made with small (openai), and the configuration names tiny (openai): set embedding.model: small"
        in capsys.readouterr().out
    )


def test_without_a_name_it_is_the_model_that_is_configured_by_now(configured, capsys, monkeypatch):
    asyncio.run(fill())
    monkeypatch.setenv("MEMORY_PROXY_EMBEDDING__MODEL", "small")
    assert main(["reembed"]) == 0
    assert looked_at()[0] == "small"
    assert main(["reembed"]) == 0
    assert "The memories are of small already.\n" in capsys.readouterr().out


def test_a_store_in_use_points_to_the_proxy_that_has_it(configured, capsys):
    async def beside_it():
        async with open_store(Store(path="data"), 2):
            return await asyncio.to_thread(main, ["reembed", "--model", "small"])

    assert asyncio.run(beside_it()) == 1
    assert "go through that proxy with --url" in capsys.readouterr().err


def test_where_no_store_is_there_is_nothing_to_move(configured, capsys):
    assert main(["reembed", "--model", "small"]) == 1
    assert capsys.readouterr().err.endswith("data/edge holds no memories\n")


@pytest.mark.parametrize("arguments", [["--provider", "magic"], ["--embeddings-url", "x"], ["--api-key-env", "NO_SUCH"]])
def test_a_model_that_can_not_be_is_bad_usage(configured, capsys, arguments):
    assert main(["reembed", "--model", "small", *arguments]) == 2
    assert capsys.readouterr().err.startswith("memory-proxy: embedding.")


def test_a_proxy_that_is_not_there_is_one_line(configured, capsys):
    assert main(["reembed", "--model", "small", "--url", "http://127.0.0.1:9"]) == 1
    err = capsys.readouterr().err
    assert (err.count("\n"), "is the proxy running there?" in err) == (1, True)


def test_the_help_has_an_example(capsys):
    with pytest.raises(SystemExit):
        main(["reembed", "--help"])
    assert "example: memory-proxy reembed --model" in " ".join(capsys.readouterr().out.split())
