"""A Qdrant server that is not there, or not itself: chats go on, and what they told is stored when it is back."""

from __future__ import annotations

import pytest

from tests.fakes import memory_proxy
from tests.faults.conftest import DEADLINE, OK, OUT_OF_ORDER, STORE, back, outages, stored
from tests.faults.moods import ILL, Mood, well
from tests.faults.qdrant_server import QdrantServer, qdrant_server

DEADLINE_MS = 300

pytestmark = pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant:UserWarning")


@pytest.fixture
async def qdrant(stack) -> QdrantServer:
    return await stack.enter_async_context(qdrant_server())


@pytest.fixture
def start_before(start, qdrant: QdrantServer):
    async def start_before(**options: object):
        options = {"store__kind": "qdrant", "store__url": qdrant.url, "store__timeout_s": 2, **options}
        return await start(recall__deadline_ms=DEADLINE_MS, recall__keep_s=0, **options)

    return start_before


@pytest.mark.parametrize("mood", ILL, ids=lambda mood: mood.__name__)
async def test_a_server_that_falls_ill_costs_no_answer_and_no_memory(mood: Mood, qdrant, start_before, client, log):
    proxy = await start_before()
    assert await client.chat(proxy) == "ok"
    await proxy.settled()
    qdrant.mood = mood
    # Late answers are counted before the store is left alone.
    assert {await client.chat(proxy, liked) for liked in ("kiwis", "limes", "plums")} <= {STORE, DEADLINE}
    assert await client.chat(proxy, "pears") == STORE
    assert await client.chat(proxy, "figs", stream=False) == STORE
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OK}
    recovered = back(proxy)
    qdrant.mood = well
    await recovered()
    assert await client.ready(proxy) == {"store": OK, "embedder": OK, "journal": OK}
    assert await stored(proxy) == ["figs", "kiwis", "limes", "pears", "plums", "tea"]
    assert await client.chat(proxy) == "ok"
    assert outages(log) == [("out of order", "store"), ("in order again", "store")]


@pytest.mark.parametrize("lost", [False, True], ids=["with its data", "without its data"])
async def test_a_server_that_goes_and_comes_back_has_what_was_told_meanwhile(lost: bool, qdrant, start_before, client, log):
    proxy = await start_before()
    assert await client.chat(proxy) == "ok"
    await proxy.settled()
    await qdrant.stop()
    assert [await client.chat(proxy, liked) for liked in ("kiwis", "limes", "plums", "figs")] == [STORE] * 4
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OK}
    recovered = back(proxy)
    if lost:
        await qdrant.lose_everything()
    await qdrant.listen()
    await recovered()
    assert await stored(proxy) == ["figs", "kiwis", "limes", "plums", *([] if lost else ["tea"])]
    assert await client.chat(proxy) == "ok"
    assert outages(log) == [("out of order", "store"), ("in order again", "store")]


async def test_a_server_that_is_not_there_at_the_start_is_found_when_it_comes(qdrant, start_before, client, log):
    await qdrant.stop()
    proxy = await start_before()
    assert await client.chat(proxy, "tea") == STORE
    assert await client.chat(proxy, "figs", stream=False) == STORE
    assert await client.ready(proxy) == {"store": OUT_OF_ORDER, "embedder": OK, "journal": OK}
    recovered = back(proxy)
    await qdrant.listen()
    await recovered()
    assert await stored(proxy) == ["figs", "tea"]
    assert outages(log) == [("out of order", "store"), ("in order again", "store")]


async def test_what_a_proxy_was_told_without_its_server_the_next_one_stores(qdrant, start, model, client, tmp_path):
    await qdrant.stop()
    options = {"store__kind": "qdrant", "store__url": qdrant.url}
    async with memory_proxy(model, tmp_path, **options) as proxy:
        assert await client.chat(proxy) == STORE
    await qdrant.listen()
    proxy = await start(**options)
    assert await stored(proxy) == ["tea"]
