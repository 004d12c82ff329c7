"""The short form; ``python -m tests.web.api --seconds 600`` is the long one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes import memory_proxy, model_api
from tests.web.api.strangers import send

PATIENCE_S = 240


async def test_strangers_who_know_nothing_but_the_document_find_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asyncio.timeout(PATIENCE_S), model_api() as model, memory_proxy(model, tmp_path / "data") as proxy:

        async def at_once(_: object) -> None:
            """Writing the files anew takes a second each time; ``tests/memory/test_edge.py`` has it."""

        monkeypatch.setattr(type(proxy.memory.store), "purge", at_once)
        options = (
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            "4",
            "--seed",
            "1",
            "--suppress-health-check",
            "all",
        )
        code, output = await send(proxy.address, tmp_path, *options)
    assert code == 0, output
