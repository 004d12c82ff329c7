"""A disk that is full or can't be written to, under the store and the journal both."""

from __future__ import annotations

import asyncio
import re
import resource
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proxy.config import Store
from proxy.core.models import Owner
from proxy.memory.stores import open_store
from tests.fakes import DIMENSIONS, memory_proxy
from tests.faults.conftest import OK, OUT_OF_ORDER, STORE, Client, back, stored
from tests.faults.disks import allow_writes, fill, mounted
from tests.processes import ProxyProcess, proxy_process

SIZE = "size=160m"
NO_ROOM, ROOM_FOR_THE_JOURNAL = 0, 32 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path):
    with mounted(tmp_path / "disk", SIZE):
        yield tmp_path / "disk"


@pytest.fixture
def start_process(stack, model) -> Callable[[Path], Awaitable[ProxyProcess]]:
    """As a process: what a store without room does to the one it is in would be done to the tests."""

    async def start_process(folder: Path) -> ProxyProcess:
        context = proxy_process(model.url, folder, recall__retry_s=0.05, recall__keep_s=0)
        proxy = await asyncio.to_thread(context.__enter__)
        stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
        return proxy

    return start_process


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def remembered(folder: Path) -> list[str]:
    async with open_store(Store(path=str(folder)), DIMENSIONS) as store:
        return sorted(each.content for each in await store.list(Owner("ann"), limit=20))


async def until_status(client: Client, proxy: ProxyProcess, status: str) -> None:
    """Chat until it comes, and find only *status* or the one before on the way."""
    async with asyncio.timeout(30):
        while await client.chat(proxy, "figs") != status:
            pass


async def test_on_a_full_disk_chats_go_on_and_the_journal_has_what_they_tell(disk, start_process, client):
    proxy = await start_process(disk)
    assert await client.chat(proxy, "tea") == "ok"
    await asyncio.to_thread(proxy.logged, "remembered")
    fill(disk, leave_bytes=ROOM_FOR_THE_JOURNAL)
    await until_status(client, proxy, STORE)
    assert [await client.chat(proxy, liked) for liked in ("kiwis", "limes")] == [STORE] * 2
    assert await client.chat(proxy, "plums", stream=False) == STORE
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OK}
    # What is free differs by what the journal has taken by then.
    why = (await asyncio.to_thread(proxy.logged, "out of order"))["why"]
    assert re.search(r"is full: [23]\d\.\d MB free, 67\.1 MB needed; make room", why)
    (disk / "filler").unlink()
    await asyncio.to_thread(proxy.logged, "in order again")
    await until_status(client, proxy, "ok")
    proxy.signal(signal.SIGTERM)
    assert await asyncio.to_thread(proxy.ended) == 0
    assert await remembered(disk) == [f"Likes {liked}" for liked in ("figs", "kiwis", "limes", "plums", "tea")]


async def test_on_a_disk_without_any_room_chats_go_on(disk, start_process, client):
    """What the journal has no room for waits in memory, and is lost if the store has none either: the log says so."""
    proxy = await start_process(disk)
    assert await client.chat(proxy, "tea") == "ok"
    await asyncio.to_thread(proxy.logged, "remembered")
    fill(disk, leave_bytes=NO_ROOM)
    await until_status(client, proxy, STORE)
    assert await client.chat(proxy, "kiwis", stream=False) == STORE
    (disk / "filler").unlink()
    await asyncio.to_thread(proxy.logged, "in order again")
    await until_status(client, proxy, "ok")
    assert await client.chat(proxy, "limes") == "ok"
    proxy.signal(signal.SIGTERM)
    assert await asyncio.to_thread(proxy.ended) == 0
    assert {"Likes tea", "Likes limes"} <= {*await remembered(disk)}


async def test_on_a_disk_that_is_full_at_the_start_chats_go_on_and_it_opens_when_there_is_room(disk, start_process, client):
    fill(disk, leave_bytes=ROOM_FOR_THE_JOURNAL)
    proxy = await start_process(disk)
    assert await client.chat(proxy, "tea") == STORE
    (disk / "filler").unlink()
    await asyncio.to_thread(proxy.logged, "in order again")
    await asyncio.to_thread(proxy.logged, "remembered")
    proxy.signal(signal.SIGTERM)
    assert await asyncio.to_thread(proxy.ended) == 0
    assert await remembered(disk) == ["Likes tea"]


async def test_where_files_may_not_grow_chats_go_on_until_they_may(start, client):
    """Needs no right to mount: what is written beyond the limit fails as on a full disk."""
    with files_of_at_most(8192):
        proxy = await start()
        assert await client.chat(proxy, "tea") == STORE
        assert await client.chat(proxy, "figs", stream=False) == STORE
        assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OUT_OF_ORDER}
        await proxy.settled()
        recovered = back(proxy)
    await recovered()
    assert await client.chat(proxy, "limes") == "ok"
    assert "limes" in await stored(proxy)


async def test_what_the_journal_has_no_room_for_is_stored_from_memory(start, client, log):
    """The store's files have been made large enough for a while."""
    proxy = await start()
    assert await client.chat(proxy, "tea") == "ok"
    assert await stored(proxy) == ["tea"]
    with files_of_at_most(8192):
        assert await client.chat(proxy, "figs") == "ok"
        assert await client.chat(proxy, "limes", stream=False) == "ok"
        assert await proxy.memories("ann") == ["Likes figs", "Likes limes", "Likes tea"]
    assert await client.chat(proxy, "kiwis") == "ok"
    assert await stored(proxy) == ["figs", "kiwis", "limes", "tea"]
    assert [line["event"] for line in log if "journal" in line["event"]] == [
        "the journal takes nothing more: what waits in memory is lost in a crash",
        "the journal is in order again",
    ]


async def test_in_a_folder_that_can_not_be_written_to_chats_go_on_until_it_can(stack, model, client, tmp_path, log):
    stack.enter_context(mounted(tmp_path / "disk", f"ro,{SIZE}"))
    proxy = await stack.enter_async_context(memory_proxy(model, tmp_path / "disk", recall__retry_s=0.05))
    assert [await client.chat(proxy, "tea", stream=stream) for stream in (True, False)] == [STORE] * 2
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OUT_OF_ORDER}
    await proxy.settled()
    told = [line["event"] for line in log if line["log_level"] in ("warning", "error")]
    assert told == [
        "out of order",
        "going on without a journal: what waits in memory is lost in a crash",
        "memories lost",
        "memories lost",
    ]
    recovered = back(proxy)
    allow_writes(tmp_path / "disk")
    await recovered()
    assert await client.chat(proxy, "figs") == "ok"
    assert await stored(proxy) == ["figs"]
