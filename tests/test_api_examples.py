"""The examples of ``docs/api.md`` do what it says they do, in their order, against a fresh proxy; and those of the README work."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import memory_proxy, model_api

ROOT = Path(__file__).parent.parent
HERE = "http://127.0.0.1:8080"
ANYTHING = "…"
EXAMPLE = re.compile(r"^```sh\n(.*?)^```\n(?:\n```json\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


async def run(script: str, folder: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0, (script, errors.decode())
    return output.decode()


def values(text: str) -> Iterator[Any]:
    """JSON, one behind the other."""
    decoder, text = json.JSONDecoder(), text.strip()
    while text:
        value, end = decoder.raw_decode(text)
        yield value
        text = text[end:].strip()


def fits(expected: Any, found: Any) -> bool:
    """Whether *found* has what is *expected* of it; it may have more fields."""
    if expected == ANYTHING:
        return found is not None
    if isinstance(expected, dict):
        return isinstance(found, dict) and all(name in found and fits(each, found[name]) for name, each in expected.items())
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(fits, expected, found))
    return type(found) is type(expected) and found == expected


async def test_the_examples_of_the_memory_api(tmp_path: Path) -> None:
    examples = EXAMPLE.findall((ROOT / "docs/api.md").read_text(encoding="utf-8"))
    assert len(examples) > 15
    (beginning, _), *others = examples
    async with model_api() as model, memory_proxy(model, tmp_path / "data") as proxy:
        for script, expected in others:
            output = await run(beginning.replace(HERE, proxy.address) + script, tmp_path)
            if expected:
                found, wanted = list(values(output)), list(values(expected))
                assert fits(wanted, found), f"{script}\ngave\n{output}"


async def test_the_examples_of_the_readme(tmp_path: Path) -> None:
    [section] = re.findall(
        r"^### Look, correct.*?(?=^##)", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    [(script, _)] = EXAMPLE.findall(section)
    assert HERE in script
    async with model_api() as model, memory_proxy(model, tmp_path / "data") as proxy:
        await run(script.replace(HERE, proxy.address).replace("curl", "curl --silent --fail"), tmp_path)
    assert (tmp_path / "memories.jsonl").read_bytes() == b""


@pytest.mark.parametrize(
    ("expected", "found", "does"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": "…"}, {"a": "x"}, True),
        ({"a": "…"}, {"a": None}, False),
        ({"a": "…"}, {}, False),
        ([{"a": 1}], [], False),
    ],
)
def test_what_is_printed_must_fit(expected: Any, found: Any, does: bool) -> None:
    assert fits(expected, found) is does
