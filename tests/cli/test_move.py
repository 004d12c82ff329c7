"""``memory-proxy move``, to a server over HTTP."""

from __future__ import annotations

import asyncio
import os

import pytest
import yaml

from proxy.cli import main
from proxy.config import Store
from proxy.memory.stores import open_store
from tests.cli.test_reembed import ANN, TINY, fill
from tests.faults.qdrant_server import qdrant_server

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


def test_the_memories_are_moved_verified_and_what_to_set_is_said(configured, capsys):
    async def move() -> tuple[str, list[str]]:
        async with qdrant_server() as server:
            assert await asyncio.to_thread(main, ["move", "--to", server.url]) == 0
            # A second time there is nothing left to write.
            assert await asyncio.to_thread(main, ["move", "--to", server.url]) == 0
            async with open_store(Store(kind="qdrant", url=server.url), 2, TINY) as store:
                return server.url, [each.content for each in await store.list(ANN, limit=10)]

    asyncio.run(fill())
    url, contents = asyncio.run(move())
    out, err = capsys.readouterr()
    assert contents == ["memory 0", "memory 1", "memory 2"]
    assert [line for line in out.splitlines() if line.startswith("Verified")] == [
        f"Verified in collection 'memories' of {url}: semantic 3; written in this call: {written}" for written in (3, 0)
    ]
    assert yaml.safe_load("store:" + out.rpartition("store:")[2]) == {
        "store": {"kind": "qdrant", "url": url, "collection": "memories"}
    }
    assert err == "moving\nverifying\n" * 2


def test_what_does_not_agree_is_one_line_and_no_advice_to_switch(configured, capsys, monkeypatch):
    async def nothing(*_: object) -> int:
        return 0

    async def move() -> int:
        async with qdrant_server() as server:
            return await asyncio.to_thread(main, ["move", "--to", server.url])

    monkeypatch.setattr("proxy.memory.moving.copy", nothing)
    asyncio.run(fill())
    assert asyncio.run(move()) == 1
    out, err = capsys.readouterr()
    assert (out, "not verified: 3 are missing on the server and 0 differ there" in err) == ("", True)


def test_a_server_that_is_down_is_one_line(configured, capsys):
    asyncio.run(fill())
    assert main(["move", "--to", "http://127.0.0.1:9"]) == 1
    err = capsys.readouterr().err
    assert (err.count("\n"), err.startswith("memory-proxy: Qdrant at http://127.0.0.1:9 can't be reached")) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--to", "qdrant"], "--to: use an http:// or https:// address without user, query or fragment"),
        (
            ["--to", "http://x", "--api-key-env", "NO_SUCH"],
            "--api-key-env: there is no key in the environment variable NO_SUCH; set it",
        ),
    ],
)
def test_bad_usage_is_one_line(configured, capsys, arguments, complaint):
    assert main(["move", *arguments]) == 2
    assert capsys.readouterr().err == f"memory-proxy: {complaint}\n"


def test_a_running_proxy_has_to_be_stopped_first(configured, capsys):
    async def beside_it():
        async with open_store(Store(path="data"), 2):
            return await asyncio.to_thread(main, ["move", "--to", "http://127.0.0.1:9"])

    assert asyncio.run(beside_it()) == 1
    assert capsys.readouterr().err == f"memory-proxy: data/edge is open in process {os.getpid()}: stop that proxy first\n"
