"""The embedded store's files, damaged before the proxy starts and while it runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes import memory_proxy
from tests.faults.conftest import OK, OUT_OF_ORDER, STORE, back, stored

FLIPPED = 8192
"""How much of a file's beginning is damaged: the rest of most is reserved and empty."""

Damage = Callable[[bytes], bytes]


def cut(data: bytes) -> bytes:
    return b""


def garbage(data: bytes) -> bytes:
    return b"nonsense"


def flipped(data: bytes) -> bytes:
    """One bit of each byte at the beginning."""
    return bytes(byte ^ 0x10 for byte in data[:FLIPPED]) + data[FLIPPED:]


def spoil(folder: Path, files: str, how: Damage) -> dict[Path, bytes]:
    """What was in *files* before; they are changed in place, as a disk does."""
    found = {path: path.read_bytes() for path in (folder / "edge").glob(files) if path.is_file()}
    assert found
    for path, data in found.items():
        write(path, how(data))
    return found


def write(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()


def mend(files: dict[Path, bytes]) -> None:
    """Each in one step, as the proxy keeps trying to open them."""
    for path, data in files.items():
        path.with_name("mended").write_bytes(data)
        path.with_name("mended").replace(path)


DAMAGES = [
    ("edge_config.json", cut),
    ("edge_config.json", flipped),
    ("segments/*/segment.json", garbage),
    ("segments/*/segment.json", flipped),
    ("segments/*/mutable_id_tracker.mappings", flipped),
    ("segments/*/payload_storage/tracker.dat", cut),
    ("wal/open-*", garbage),
]


@pytest.fixture
async def folder(model, client, tmp_path: Path) -> Path:
    """Of a proxy that was told of tea."""
    async with memory_proxy(model, tmp_path) as proxy:
        assert await client.chat(proxy, "tea") == "ok"
        assert await stored(proxy) == ["tea"]
    return tmp_path


@pytest.mark.parametrize(("files", "how"), DAMAGES)
async def test_files_that_are_damaged_at_the_start_cost_no_answer_and_nothing_told(
    files: str, how: Damage, folder, start, client
):
    whole = spoil(folder, files, how)
    proxy = await start()
    assert await client.chat(proxy, "figs") == STORE
    assert await client.chat(proxy, "limes", stream=False) == STORE
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OK}
    recovered = back(proxy)
    mend(whole)
    await recovered()
    assert await stored(proxy) == ["figs", "limes", "tea"]
    assert await client.chat(proxy, "tea") == "ok"


async def test_the_log_names_the_folder_once(folder, start, client, log):
    spoil(folder, "edge_config.json", cut)
    proxy = await start()
    assert [await client.chat(proxy) for _ in range(3)] == [STORE] * 3
    [line] = [line for line in log if line.get("part")]
    assert line == {
        "event": "out of order",
        "part": "store",
        "why": f"{folder}/edge can't be opened: edge_config.json is damaged",
        "log_level": "error",
    }


@pytest.mark.parametrize("files", ["**/*.dat", "**/*.mmap", "**/*.json", "**/mutable_id_tracker.*", "wal/*"])
async def test_bits_that_flip_while_it_runs_cost_no_answer(files: str, folder, start, client):
    proxy = await start(recall__keep_s=0)
    spoil(folder, files, flipped)
    found = {await client.chat(proxy, liked, stream=stream) for liked in ("figs", "tea", "limes") for stream in (True, False)}
    assert found <= {"ok", STORE}
    await proxy.settled()
    assert {await client.chat(proxy, liked) for liked in ("figs", "tea")} <= {"ok", STORE}


async def test_files_that_are_removed_while_it_runs_cost_no_answer(folder, start, client):
    proxy = await start(recall__keep_s=0)
    shutil.rmtree(folder / "edge")
    found = {await client.chat(proxy, liked, stream=stream) for liked in ("figs", "tea") for stream in (True, False)}
    await proxy.settled()
    assert found | {await client.chat(proxy, "limes")} <= {"ok", STORE}
