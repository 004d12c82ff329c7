"""A journal that can't be had or read: chats go on, and what they tell is stored from memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.fakes import memory_proxy
from tests.faults.conftest import OK, OUT_OF_ORDER, STORE

NAME = "journal.sqlite3"
NEW = "the journal is broken: a new one is begun"
NONE = "going on without a journal: what waits in memory is lost in a crash"

Ruin = Callable[[Path], object]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def garbage(path: Path) -> None:
    path.write_bytes(b"nonsense " * 1000)


def flipped(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100] + bytes(byte ^ 0x10 for byte in path.read_bytes()[100:]))


def of_a_later_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


def of_somebody_else(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE entries (something TEXT)")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.fixture
async def path(model, client, tmp_path: Path) -> Path:
    """Where a proxy has left its journal, with something in it."""
    async with memory_proxy(model, tmp_path, store__kind="qdrant", store__url="http://127.0.0.1:9") as proxy:
        assert await client.chat(proxy, "kiwis") == STORE
    return tmp_path / NAME


SAID = {cut: NEW, garbage: NEW, flipped: NEW, of_a_later_version: NONE, of_somebody_else: NONE, a_folder: NONE}


@pytest.mark.parametrize("ruin", SAID)
async def test_a_journal_that_can_not_be_had_costs_no_answer_and_nothing_told(ruin: Ruin, path, start, client, log):
    ruin(path)
    proxy = await start()
    assert await client.chat(proxy, "tea") == "ok"
    assert await client.chat(proxy, "figs", stream=False) == "ok"
    assert await proxy.memories("ann") == ["Likes figs", "Likes tea"]
    journal = OK if SAID[ruin] == NEW else OUT_OF_ORDER
    assert await client.ready(proxy) == {"store": OK, "embedder": OK, "journal": journal}
    assert [line["event"] for line in log if line["log_level"] == "error" and "journal" in line["event"]] == [SAID[ruin]]


async def test_a_journal_that_another_process_has_costs_no_answer_and_nothing_told(path, start, client, log):
    with held(path):
        proxy = await start()
        assert await client.chat(proxy, "tea") == "ok"
        assert await proxy.memories("ann") == ["Likes tea"]
    assert [(line["event"], line["why"]) for line in log if "why" in line and "journal" in line["event"]] == [
        (NONE, "database is locked")
    ]


@contextmanager
def held(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


@pytest.mark.parametrize("ruin", [cut, garbage, flipped])
async def test_one_that_is_ruined_while_it_runs_costs_no_answer_and_nothing_told(ruin: Ruin, start, client, tmp_path):
    proxy = await start()
    assert await client.chat(proxy, "tea") == "ok"
    await proxy.settled()
    for each in tmp_path.glob(f"{NAME}*"):
        ruin(each)
    assert await client.chat(proxy, "figs") == "ok"
    assert await client.chat(proxy, "limes", stream=False) == "ok"
    assert await proxy.memories("ann") == ["Likes figs", "Likes limes", "Likes tea"]
